/** A copy that goes on after a power failure: on a machine that has been started anew, as far as its agent can tell. */
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";

import { expect } from "vitest";

import { startSource, startTarget } from "../agent/agent-pair.ts";
import { openedSince, tracingOpens } from "../agent/opened-files.ts";
import type { Scratch } from "../bed/scratch.ts";
import { finishedFiles } from "../judge/finished-files.ts";
import { listTree } from "../judge/tree.ts";
import { changeTimes } from "./checkpointed.ts";

export interface Resumed {
  /** Holds source, pki, and traces. */
  readonly place: Scratch;
  readonly image: string;
  /** As lastCovered says. */
  readonly covered: bigint | null;
  /** Tells traces apart. */
  readonly number: number;
}

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/** Put before a command, shows it a boot id of its own, in a mount namespace of its own. */
function onAnotherBoot(file: string): readonly string[] {
  writeFileSync(file, `${randomUUID()}\n`);
  const script = `mount --bind "$0" ${BOOT_ID} && exec "$@"`;
  return ["unshare", "--mount", "sh", "-c", script, file];
}

/**
 * Of these, files with one name. One with several is sent anew, instead of being opened, when the power failed between
 * two of them, and the one that the source finds first is not the one that the target has.
 */
async function withOneName(source: string, paths: readonly string[]): Promise<string[]> {
  const tree = await listTree(source, []);
  return paths.filter((path) => tree.get(path)?.facts.get("names") === "1");
}

/**
 * Runs both agents to the end. Of the files with one name that look finished, they open those that the last checkpoint
 * does not cover, and no other one.
 */
export async function expectResumed({ place, image, covered, number }: Resumed): Promise<void> {
  const [from, pki] = [place.at("source"), place.at("pki")];
  const [ours, theirs] = [place.at(`source-${number}.strace`), place.at(`target-${number}.strace`)];
  const changed = await changeTimes(image);
  const finished = await withOneName(from, await finishedFiles(from, image));
  const doubted = finished.filter(
    (path) => covered === null || (changed.get(path) ?? covered) >= covered,
  );
  const wrapper = [...onAnotherBoot(place.at("boot-id")), ...tracingOpens(theirs)];
  const { agent, port } = await startTarget({ volume: image, pki, run: { wrapper } });
  await using target = agent;
  await using source = startSource({
    volume: from,
    pki,
    port,
    run: { wrapper: tracingOpens(ours) },
  });
  for (const { code, stderr } of await Promise.all([source.ended, target.ended])) {
    expect(code, stderr).toBe(0);
  }
  const ofFinished = (opened: ReadonlySet<string>): string[] =>
    finished.filter((path) => opened.has(path));
  expect(ofFinished(openedSince(theirs, image, 0))).toEqual(doubted);
  expect(ofFinished(openedSince(ours, from, 0))).toEqual(doubted);
}
