/** Neither side can be reached by the other: one of them listens on a bastion that both can dial. */
import { readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startApart } from "../agent/agents-apart.ts";
import { examineFrom } from "../agent/examine.ts";
import { startPvferry, type Agent } from "../agent/run-pvferry.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { describeWith } from "../bed/needs.ts";
import { passing } from "../bed/network/fault.ts";
import { paceToTarget } from "../bed/network/pace.ts";
import { sshd, type Sshd, type SshdOptions } from "../bed/network/sshd.ts";
import {
  ADDRESSES,
  TO_TARGET,
  twoClusters,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const PORT = 7443;
const programs = ["ip", "nft", "tc", "sshd", "ssh-keygen", "rsync", "getfattr", "getfacl"];

describeWith({ root: true, programs }, "a listener on a bastion", () => {
  const { volume, pki } = sharedVolume({ largeFiles: 3, largeBytes: 6 * MIB, smallFiles: 200 });
  let clusters: TwoClusters;

  beforeAll(() => {
    clusters = twoClusters();
  });

  afterAll(() => clusters[Symbol.dispose]());

  const bastion = async (forwards: SshdOptions["forwards"]): Promise<Sshd> =>
    sshd({ namespace: clusters.router, ...(forwards === undefined ? {} : { forwards }) });

  /** What a side in the source's cluster is given to listen on the bastion. */
  const listening = (place: Scratch, { hostKey, port, user }: Sshd): string[] => {
    const address = ADDRESSES.sourceRouter.v4;
    writeFileSync(place.at("known_hosts"), `[${address}]:${port} ${hostKey}\n`);
    const listen = `ssh://${user.user}@${address}:${port}/0.0.0.0:${PORT}`;
    const known = ["--ssh-known-hosts", place.at("known_hosts"), "--ssh-key", user.identity];
    return ["--listen", listen, ...known];
  };
  const dialling = ["--to", `${ADDRESSES.targetRouter.v4}:${PORT}`];

  const expectCopied = async (place: Scratch, ...agents: Agent[]): Promise<void> => {
    for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
    await expectFaithful(volume, place.at("copy"));
  };

  describe.each(["source", "target"] as const)("of a %s", (listener) => {
    const start = (place: Scratch, side: "source" | "target", flags: readonly string[]): Agent => {
      const listens = side === listener;
      const cluster = listens ? clusters.source : clusters.target;
      const copy = side === "source" ? volume : place.directory("copy");
      return startApart(side, { cluster, volume: copy, pki, flags }, []);
    };

    it("carries a copy", async () => {
      using place = scratch();
      await using server = await bastion("yes");
      const other = listener === "source" ? "target" : "source";
      await using here = start(place, listener, listening(place, server));
      await here.says(/^Listening on 0\.0\.0\.0:7443 on ssh:/m);
      await using there = start(place, other, dialling);
      await expectCopied(place, here, there);
    });

    it("goes on when the bastion was started again in the middle", async () => {
      using place = scratch();
      await using server = await bastion("yes");
      const other = listener === "source" ? "target" : "source";
      await using here = start(place, listener, listening(place, server));
      await here.says(/^Listening on /m);
      using _pace = paceToTarget(clusters.router, 60);
      using seen = passing({ router: clusters.router, link: TO_TARGET });
      await using there = start(place, other, dialling);
      await expect.poll(seen.bytes, { timeout: 30_000 }).toBeGreaterThan(100_000);
      await server.kill();
      await server.start();
      await expectCopied(place, here, there);
    });
  });

  it.each([
    ["a doctor", "doctor", "source"],
    ["a target", "target", "source"],
    ["a source", "source", "target"],
  ])("of %s can be examined", async (_, command, as) => {
    using place = scratch();
    await using server = await bastion("yes");
    const own = as === "source" ? "target" : "source";
    const volumes = command === "doctor" ? [] : [place.directory("volume")];
    const ready = ["--ready-file", place.at("ready")];
    const flags = [...listening(place, server), ...ready, "--tls", `${pki}/${own}`];
    const line = [command, ...volumes, ...flags];
    await using here = startPvferry(line, { wrapper: clusters.source.wrapper });
    await here.says(/^Listening on 0\.0\.0\.0:7443 on ssh:/m);
    const { endpoint } = JSON.parse(readFileSync(place.at("ready"), "utf8"));
    expect(endpoint).toBe(`${ADDRESSES.sourceRouter.v4}:${PORT}`);
    const way = [...dialling, "--tls", `${pki}/${as}`, "--measure", "200ms"];
    const { exit, message, measurements } = await examineFrom(clusters.target, pki, ...way);
    expect(exit, message).toBe(0);
    expect(measurements?.goodput).toHaveLength(4);
    await here.says(/^A doctor examines the path from \S+ through ssh:/m);
    expect(here.isRunning()).toBe(true);
  });

  it("that does not forward is named, with what its owner can do", async () => {
    using place = scratch();
    await using server = await bastion("local");
    const flags = listening(place, server);
    const copy = place.directory("copy");
    const options = { cluster: clusters.source, volume: copy, pki, flags };
    await using target = startApart("target", options, []);
    await target.says(/does not listen on 0\.0\.0\.0:7443 for us/);
    expect(target.isRunning()).toBe(true);
  });

  it("whose host key is not known is refused, with its fingerprint", async () => {
    using place = scratch();
    await using server = await bastion("yes");
    const flags = listening(place, server);
    writeFileSync(place.at("known_hosts"), "");
    const copy = place.directory("copy");
    const options = { cluster: clusters.source, volume: copy, pki, flags };
    await using target = startApart("target", options, []);
    const ended = await target.ended;
    expect(ended.code).toBe(22);
    expect(ended.stderr).toMatch(/host key that is not known here \(SHA256:[A-Za-z\d+/]{43}\)/);
  });
});
