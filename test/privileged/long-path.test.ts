/** Agents at the two ends of a path that is long and loses packets. */
import { writeFileSync } from "node:fs";

import { expect, it } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { sharedVolume } from "../agent/shared-volume.ts";
import { describeWith } from "../bed/needs.ts";
import { LONG_PATH_ADDRESSES, openLongPath, type LongPath } from "../bed/network/long-path.ts";
import { sshd } from "../bed/network/sshd.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

const MIB = 1024 * 1024;
const { volume, pki } = sharedVolume({ largeFiles: 2, largeBytes: 14 * MIB, smallFiles: 800 });

const LOSSY = { rateMbit: 100, roundTripMs: 40, lossPercent: 1 };
const PORT = 6_443;
const programs = ["ip", "sysctl", "rsync", "getfattr", "getfacl", "sshd", "ssh-keygen"];

/** A copy over such a path, judged. `through` starts what it goes through, and says so in flags. */
async function copied(
  target: readonly string[],
  source: readonly string[],
  through: (way: LongPath, place: Scratch) => Promise<readonly string[]> = async () => [],
) {
  using place = scratch();
  await using way = await openLongPath(LOSSY, "debug");
  const proxies = await through(way, place);
  const copy = place.directory("target");
  const from = (namespace: (typeof way)["source"]) => ({
    wrapper: ["nsenter", `--net=${namespace.path}`, "--"],
  });
  const address = LONG_PATH_ADDRESSES.target;
  const listen = ["--listen", `${address}:${PORT}`];
  const { agent } = await startTarget({
    volume: copy,
    pki,
    port: PORT,
    flags: [...listen, ...target],
    run: from(way.target),
  });
  await using listening = agent;
  const to = ["--to", `${address}:${PORT}`, "--compress", "none", "-v"];
  await using dialling = startSource({
    volume,
    pki,
    port: PORT,
    flags: [...to, ...proxies, ...source],
    run: from(way.source),
  });
  const ended = await dialling.ended;
  expect(ended.code, ended.stderr).toBe(0);
  expect((await listening.ended).code).toBe(0);
  await expectFaithful(volume, copy);
  return { receipt: receiptOf(ended), said: ended.stderr };
}

describeWith({ root: true, programs }, "a path that loses packets", () => {
  it("gets bbr without being asked, where the kernel has it", async () => {
    const { said } = await copied([], []);
    expect(said).toMatch(/The path loses packets(?:; bbr paces|, and the kernel does not pace)/);
  });

  it("gets all lanes where cubic is insisted on, without losing one", async () => {
    const { receipt, said } = await copied([], ["--congestion", "cubic"]);
    expect(receipt).toMatchObject({ lanes: 32, reconnects: 0, items: [] });
    expect(said).toContain("There are 32 lanes from now on.");
  });

  it("gets no more of them than the target has room for", async () => {
    const { receipt } = await copied(["--lanes", "5"], []);
    expect(receipt).toMatchObject({ lanes: 5, reconnects: 0, items: [] });
  });

  it("gets more of them through a bastion too, where no kernel sees both ends", async () => {
    await using stack = new AsyncDisposableStack();
    const { receipt } = await copied([], [], async ({ target }, place) => {
      const { hostKey, port, user } = stack.use(await sshd({ namespace: target }));
      const address = LONG_PATH_ADDRESSES.target;
      writeFileSync(place.at("known_hosts"), `[${address}]:${port} ${hostKey}\n`);
      const known = ["--ssh-known-hosts", place.at("known_hosts"), "--ssh-key", user.identity];
      return ["--via", `ssh://${user.user}@${address}:${port}`, ...known];
    });
    expect(receipt).toMatchObject({ reconnects: 0, items: [] });
    expect(receipt.lanes).toBeGreaterThan(8);
  });
});
