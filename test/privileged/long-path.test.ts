/** Agents at the two ends of a path that is long and loses packets. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

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

/** Long beside what an agent does itself, and shorter than TCP's patience with a SYN. */
const ROUND_TRIP_MS = 900;

/** How many of them a copy of one small file takes. */
async function roundTripsOfACopy(): Promise<number> {
  using place = scratch();
  const path = { rateMbit: 1_000, roundTripMs: ROUND_TRIP_MS, lossPercent: 0 };
  await using way = await openLongPath(path, "debug");
  const from = place.directory("source");
  writeFileSync(join(from, "file"), "a file");
  const inside = (namespace: (typeof way)["source"]) => ({
    wrapper: ["nsenter", `--net=${namespace.path}`, "--"],
  });
  const address = `${LONG_PATH_ADDRESSES.target}:${PORT}`;
  const at = { pki, port: PORT };
  const listen = { flags: ["--listen", address], run: inside(way.target) };
  const { agent } = await startTarget({ volume: place.directory("target"), ...at, ...listen });
  await using listening = agent;
  const startedAt = performance.now();
  const dial = { flags: ["--to", address], run: inside(way.source) };
  await using source = startSource({ volume: from, ...at, ...dial });
  const ended = await source.ended;
  const tookMs = performance.now() - startedAt;
  expect(ended.code, ended.stderr).toBe(0);
  expect((await listening.ended).code).toBe(0);
  return tookMs / ROUND_TRIP_MS;
}

describeWith({ root: true, programs }, "a path whose round trips take long", () => {
  it("is gone back and forth no more often than one side has to wait for the other", async () => {
    const counts: number[] = [];
    // On a busy machine the agents themselves may take as long as the path, but not each time.
    do counts.push(await roundTripsOfACopy());
    while (counts.length < 5 && (counts.at(-1) ?? 0) >= 6);
    // TCP; TLS; hello, preflight and start; the data; the results. A part of another one is the agents' own.
    expect(counts.at(-1), counts.join(", ")).toBeLessThan(6);
    expect(Math.min(...counts)).toBeGreaterThan(5);
  });
});
