/** Every way that --via can name, through the real thing: all of them pass the same tests. */
import { writeFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { AGENT_PORT, startApart } from "../agent/agents-apart.ts";
import { receiptOf } from "../agent/receipt.ts";
import type { Agent, Ended } from "../agent/run-pvferry.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { fault } from "../bed/network/fault.ts";
import { paceToTarget } from "../bed/network/pace.ts";
import { ADDRESSES, ROUTER_NAME, TARGET_NAME, TO_SOURCE } from "../bed/network/two-clusters.ts";
import { viaUrl, WAYS, type Login, type Way } from "../bed/network/ways.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";

const NAMES = { proxy: ROUTER_NAME, target: TARGET_NAME };
const BY = {
  names: NAMES,
  IPv4: { proxy: ADDRESSES.sourceRouter.v4, target: ADDRESSES.target.v4 },
  IPv6: { proxy: `[${ADDRESSES.sourceRouter.v6}]`, target: `[${ADDRESSES.target.v6}]` },
};
/** From near to far. A bastion speaks first, so that its words come right behind what the proxy before it answers. */
const CHAINS = [
  ["CONNECT over TLS, squid", "SOCKS5, microsocks", "CONNECT, tinyproxy", "SSH by key"],
  ["SOCKS5, dante", "SSH by password"],
];
const judges = ["rsync", "getfattr", "getfacl"];
const servers = ["squid", "tinyproxy", "danted", "microsocks", "sshd"];
const programs = ["ip", "nft", "tc", "openssl", "ssh-keygen", ...servers, ...judges];

describeWith({ root: true, programs }, "a dialer", () => {
  const { clusters, volume, pki, startTarget, crossed, ...transfer } = transferApart();

  /** The URLs stand in a file, as they should, from near to far. */
  const viaFile = (place: Scratch, logins: readonly Login[], proxy: string): readonly string[] => {
    const file = place.at("via");
    const urls = logins.map((login) => `${viaUrl(login, proxy)}\n`);
    writeFileSync(file, urls.join(""), { mode: 0o600 });
    return ["--via-file", file, ...logins.flatMap((login) => login.flags)];
  };

  const startSource = (place: Scratch, logins: readonly Login[], by = BY.names): Agent =>
    transfer.startSource(`${by.target}:${AGENT_PORT}`, ...viaFile(place, logins, by.proxy), "-vv");

  /** In the other one's cluster, since that is where it can be reached. */
  const startListeningSource = async (): Promise<Agent> => {
    const flags = ["--listen", String(AGENT_PORT)];
    const agent = startApart("source", { cluster: clusters().target, volume, pki, flags }, []);
    await agent.says(/^Listening on /m);
    return agent;
  };

  const startDiallingTarget = (place: Scratch, login: Login): Agent => {
    const flags = ["--to", `${BY.names.target}:${AGENT_PORT}`];
    const way = viaFile(place, [login], BY.names.proxy);
    const copy = place.directory("target");
    const cluster = clusters().source;
    return startApart("target", { cluster, volume: copy, pki, flags: [...flags, ...way] }, []);
  };

  const expectCopy = async (place: Scratch, source: Agent, target: Agent): Promise<Ended> =>
    (await transfer.expectCopy(place, source, target))[0];

  const expectNotLetIn = async (agent: Agent, proxy: string): Promise<void> => {
    const ended = await agent.ended;
    expect(ended.code, ended.stderr).toBe(21);
    expect(ended.stderr).toMatch(/^pvferry: The proxy \S+ does not (?:accept user|let user) /m);
    expect(ended.stderr).toContain(`The proxy ${proxy} does not `);
    expect(ended.stderr).not.toContain("Waiting for");
    expect(ended.stderr).toContain("(code: 21, temporary: false)");
    expect(ended.stderr).not.toMatch(/Socket \{|Symbol\(|<Buffer/);
  };

  describe.each(Object.entries(WAYS))("%s", (_, open) => {
    it("carries a copy", async () => {
      using place = scratch();
      await using way = await open(clusters().router, place);
      await using target = await startTarget(place);
      await using source = startSource(place, [way.right]);
      await expectCopy(place, source, target);
    });

    it("carries a copy to a target that dials", async () => {
      using place = scratch();
      await using way = await open(clusters().router, place);
      await using source = await startListeningSource();
      await using target = startDiallingTarget(place, way.right);
      await expectCopy(place, source, target);
    });

    it("says that it is not let in, and does not try again", async () => {
      using place = scratch();
      await using way = await open(clusters().router, place);
      await using target = await startTarget(place);
      await using source = startSource(place, [way.wrong]);
      await expectNotLetIn(source, `${way.wrong.scheme}://${ROUTER_NAME}:${way.server.port}`);
      expect(target.isRunning()).toBe(true);
    });

    it("waits for a target that is not there yet, and says what the proxy says of it", async () => {
      using place = scratch();
      await using way = await open(clusters().router, place);
      await using source = startSource(place, [way.right], BY.IPv4);
      const what = `could not connect to ${BY.IPv4.target}:${AGENT_PORT} \\(.+\\)`;
      await source.says(new RegExp(`Waiting for .*${what}`));
      await using target = await startTarget(place);
      await expectCopy(place, source, target);
    });

    it("waits for a proxy that is not there yet", async () => {
      using place = scratch();
      await using way = await open(clusters().router, place);
      await way.server.kill();
      await using target = await startTarget(place);
      await using source = startSource(place, [way.right], BY.IPv6);
      await source.says(/Waiting for .*The proxy .* cannot be reached/);
      await way.server.start();
      await expectCopy(place, source, target);
    });

    it("goes on when the proxy dies in the middle and is started again", async () => {
      using place = scratch();
      await using way = await open(clusters().router, place);
      await using target = await startTarget(place);
      using _pace = paceToTarget(clusters().router, 100);
      await using source = startSource(place, [way.right]);
      await crossed();
      await way.server.kill();
      await source.says(/Trying a new session until/);
      await way.server.start();
      const sent = await expectCopy(place, source, target);
      expect(receiptOf(sent).sessions).toBeGreaterThan(1);
    });
  });

  it.each(CHAINS)("goes through %s and %s, and says which of them refuses", async (...names) => {
    using place = scratch();
    await using chain = new AsyncDisposableStack();
    const ways: Way[] = [];
    for (const name of names) {
      const open = WAYS[name];
      if (open !== undefined) ways.push(chain.use(await open(clusters().router, place)));
    }
    const right = ways.map((way) => way.right);
    const rule = `tcp dport != ${right[0]?.port} reject with tcp reset`;
    using _others = fault({ router: clusters().router, link: TO_SOURCE, packets: "from", rule });
    await using target = await startTarget(place);
    for (const [at, way] of ways.entries()) {
      await using refused = startSource(place, right.with(at, way.wrong), BY.IPv4);
      const { scheme, port } = way.wrong;
      await expectNotLetIn(refused, `${scheme}://${BY.IPv4.proxy}:${port}`);
    }
    await using source = startSource(place, right, BY.IPv4);
    await expectCopy(place, source, target);
  });
});
