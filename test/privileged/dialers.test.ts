/** Every way that --via can name, through the real thing: all of them pass the same tests. */
import { writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { AGENT_PORT, sourceApart, targetApart } from "../agent/agents-apart.ts";
import { receiptOf } from "../agent/receipt.ts";
import type { Agent, Ended } from "../agent/run-pvferry.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { describeWith } from "../bed/needs.ts";
import { fault, passing } from "../bed/network/fault.ts";
import { paceToTarget } from "../bed/network/pace.ts";
import {
  ADDRESSES,
  ROUTER_NAME,
  TARGET_NAME,
  TO_SOURCE,
  TO_TARGET,
  twoClusters,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import { SECRETS, viaUrl, WAYS, type Login, type Way } from "../bed/network/ways.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const NAMES = { proxy: ROUTER_NAME, target: TARGET_NAME };
const BY = {
  names: NAMES,
  IPv4: { proxy: ADDRESSES.sourceRouter.v4, target: ADDRESSES.target.v4 },
  IPv6: { proxy: `[${ADDRESSES.sourceRouter.v6}]`, target: `[${ADDRESSES.target.v6}]` },
};
/** From near to far. */
const CHAIN = ["CONNECT over TLS, squid", "SOCKS5, microsocks", "CONNECT, tinyproxy", "SSH by key"];
const judges = ["rsync", "getfattr", "getfacl"];
const servers = ["squid", "tinyproxy", "danted", "microsocks", "sshd"];
const programs = ["ip", "nft", "tc", "openssl", "ssh-keygen", ...servers, ...judges];

describeWith({ root: true, programs }, "a dialer", () => {
  const { volume, pki } = sharedVolume({
    largeFiles: 4,
    largeBytes: 6 * MIB,
    smallFiles: 300,
  });
  let clusters: TwoClusters;

  beforeAll(() => {
    clusters = twoClusters();
  });

  afterAll(() => clusters[Symbol.dispose]());

  const startTarget = async (place: Scratch): Promise<Agent> => {
    const agent = targetApart({ cluster: clusters.target, volume: place.directory("target"), pki });
    await agent.says(/^Listening on /m);
    return agent;
  };

  /** The URLs stand in a file, as they should, from near to far. */
  const startSource = (place: Scratch, logins: readonly Login[], by = BY.names): Agent => {
    const file = place.at("via");
    const urls = logins.map((login) => `${viaUrl(login, by.proxy)}\n`);
    writeFileSync(file, urls.join(""), { mode: 0o600 });
    const known = logins.flatMap((login) => login.flags);
    const flags = ["--to", `${by.target}:${AGENT_PORT}`, "--via-file", file, ...known];
    return sourceApart({ cluster: clusters.source, volume, pki, flags });
  };

  const endOf = async (agent: Agent): Promise<Ended> => {
    const ended = await agent.ended;
    for (const text of [ended.stdout, ended.stderr]) {
      expect(SECRETS.filter((secret) => text.includes(secret))).toEqual([]);
    }
    return ended;
  };

  const expectArrival = async (place: Scratch, source: Agent, target: Agent): Promise<Ended> => {
    const sent = await endOf(source);
    expect(sent.code, sent.stderr).toBe(0);
    const received = await endOf(target);
    expect(received.code, received.stderr).toBe(0);
    expect(receiptOf(received).roots.source).toEqual(receiptOf(sent).roots.target);
    await expectFaithful(volume, place.at("target"));
    return sent;
  };

  describe.each(Object.entries(WAYS))("%s", (_, open) => {
    it("carries a copy", async () => {
      using place = scratch();
      await using way = await open(clusters.router, place);
      await using target = await startTarget(place);
      await using source = startSource(place, [way.right]);
      await expectArrival(place, source, target);
    });

    it("says that it is not let in, and does not try again", async () => {
      using place = scratch();
      await using way = await open(clusters.router, place);
      await using target = await startTarget(place);
      await using source = startSource(place, [way.wrong]);
      const { code, stderr } = await endOf(source);
      expect(code, stderr).toBe(21);
      const proxy = `${way.wrong.scheme}://${ROUTER_NAME}:${way.server.port}`;
      expect(stderr).toMatch(/^pvferry: The proxy \S+ does not (?:accept user|let user) /m);
      expect(stderr).toContain(`The proxy ${proxy} does not `);
      expect(stderr).not.toContain("Waiting for");
      expect(target.isRunning()).toBe(true);
    });

    it("waits for a target that is not there yet, and says what the proxy says of it", async () => {
      using place = scratch();
      await using way = await open(clusters.router, place);
      await using source = startSource(place, [way.right], BY.IPv4);
      const what = `could not connect to ${BY.IPv4.target}:${AGENT_PORT} \\(.+\\)`;
      await source.says(new RegExp(`Waiting for .*${what}`));
      await using target = await startTarget(place);
      await expectArrival(place, source, target);
    });

    it("waits for a proxy that is not there yet", async () => {
      using place = scratch();
      await using way = await open(clusters.router, place);
      await way.server.kill();
      await using target = await startTarget(place);
      await using source = startSource(place, [way.right], BY.IPv6);
      await source.says(/Waiting for .*The proxy .* cannot be reached/);
      await way.server.start();
      await expectArrival(place, source, target);
    });

    it("goes on when the proxy dies in the middle and is started again", async () => {
      using place = scratch();
      await using way = await open(clusters.router, place);
      await using target = await startTarget(place);
      using _pace = paceToTarget(clusters.router, 100);
      using seen = passing({ router: clusters.router, link: TO_TARGET });
      await using source = startSource(place, [way.right]);
      await expect.poll(seen.bytes, { timeout: 30_000 }).toBeGreaterThan(8 * MIB);
      await way.server.kill();
      await source.says(/Trying a new session until/);
      await way.server.start();
      const sent = await expectArrival(place, source, target);
      expect(receiptOf(sent).sessions).toBeGreaterThan(1);
    });
  });

  it("goes through a chain of proxies and a bastion, and says which of them refuses", async () => {
    using place = scratch();
    await using chain = new AsyncDisposableStack();
    const ways: Way[] = [];
    for (const name of CHAIN) {
      const open = WAYS[name];
      if (open !== undefined) ways.push(chain.use(await open(clusters.router, place)));
    }
    const right = ways.map((way) => way.right);
    const rule = `tcp dport != ${right[0]?.port} reject with tcp reset`;
    using _others = fault({ router: clusters.router, link: TO_SOURCE, packets: "from", rule });
    await using target = await startTarget(place);
    for (const [at, way] of ways.entries()) {
      await using refused = startSource(place, right.with(at, way.wrong), BY.IPv4);
      const { code, stderr } = await endOf(refused);
      expect(code, stderr).toBe(21);
      const proxy = `${way.wrong.scheme}://${BY.IPv4.proxy}:${way.server.port}`;
      expect(stderr).toContain(`pvferry: The proxy ${proxy} does not `);
    }
    await using source = startSource(place, right, BY.IPv4);
    await expectArrival(place, source, target);
  });
});
