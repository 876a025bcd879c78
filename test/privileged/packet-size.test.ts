/** Something on the way carries only small packets, and does not say so: everything small works, and nothing else. */
import { expect, it } from "vitest";

import type { Diagnosis } from "../../src/session/doctor/diagnosis.ts";
import { AGENT_PORT } from "../agent/agents-apart.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { fault, longerThan } from "../bed/network/fault.ts";
import { ADDRESSES, TO_TARGET } from "../bed/network/two-clusters.ts";
import { scratch } from "../bed/scratch.ts";

const SMALL = /Small packets reach .*:6443 and come back, packets of full size are lost on the way/;
const programs = ["ip", "nft", "rsync", "getfattr", "getfacl"];

describeWith({ root: true, programs }, "a path that loses full packets", () => {
  const { clusters, pki, startTarget, startSource, expectCopy } = transferApart({ forwards: true });
  const examine = async (host: string): Promise<Diagnosis & { exit: number | null }> => {
    const to = `${host}:${AGENT_PORT}`;
    const args = ["doctor", "--to", to, "--tls", `${pki}/source`, "--measure", "200ms", "--json"];
    const { code, stdout } = await pvferry(args, { wrapper: clusters().source.wrapper });
    return { ...(JSON.parse(stdout) as Diagnosis), exit: code };
  };

  it.each([
    ["IPv4", ADDRESSES.target.v4],
    ["IPv6", `[${ADDRESSES.target.v6}]`],
  ])("is recognised by a doctor, over %s", async (_, host) => {
    using place = scratch();
    const { router } = clusters();
    await using target = await startTarget(place);
    {
      using _fault = fault({ router, link: TO_TARGET, rule: longerThan(1400) });
      const sick = await examine(host);
      expect(sick.message).toMatch(SMALL);
      expect(sick.next).toContain("MTU");
      expect(sick.exit).toBe(20);
    }
    const sound = await examine(host);
    expect(sound).toMatchObject({ exit: 0, code: 0 });
    expect(target.isRunning()).toBe(true);
  });

  it("is named by a source that waits, which goes on when full packets pass again", async () => {
    using place = scratch();
    const { router } = clusters();
    await using target = await startTarget(place);
    using wall = new DisposableStack();
    wall.use(fault({ router, link: TO_TARGET, rule: longerThan(1400) }));
    await using source = startSource(`${ADDRESSES.target.v4}:${AGENT_PORT}`);
    await source.says(SMALL);
    wall.dispose();
    await expectCopy(place, source, target);
  });
});
