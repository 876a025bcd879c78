/**
 * A copy during which the disk flips bits: in the file beneath a mounted file system, right after the target has synced
 * and before it reads back. It is stopped in between.
 */
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import type { Bed } from "../bed/filesystem.ts";
import { startSource, startTarget } from "./agent-pair.ts";
import { familyOf } from "./processes.ts";
import { receiptOf, type Receipt } from "./receipt.ts";
import type { Ended } from "./run-pvferry.ts";

export interface Mark {
  readonly bytes: Buffer;
  /** So many places where it is seen first are left alone. */
  readonly spared: number;
  /** It is left alone until this is on the disk too. */
  readonly beside?: Buffer;
  /** How often a bit is flipped wherever else it is, at most. */
  readonly flips: number;
}

export interface Flipping<Name extends string> {
  readonly bed: Bed;
  readonly volume: string;
  readonly pki: string;
  readonly marks: { readonly [name in Name]: Mark };
  readonly sourceFlags: readonly string[];
  readonly targetFlags?: readonly string[];
  /** Calls of the target that fail: `linkat:error=EMLINK`. */
  readonly fails?: readonly string[];
}

export interface Flipped<Name extends string> {
  readonly ended: Ended;
  readonly receipt: Receipt;
  readonly flipped: { readonly [name in Name]: number };
}

function placesOf(disk: Buffer, bytes: Buffer): readonly number[] {
  const places: number[] = [];
  for (let at = disk.indexOf(bytes); at >= 0; at = disk.indexOf(bytes, at + 1)) places.push(at);
  return places;
}

/** Flips a bit of a mark wherever it lies on the disk, but for the places that are spared, which are kept in `seen`. */
function flipBit(image: string, mark: Mark, seen: Set<number>): boolean {
  const disk = readFileSync(image);
  const places = placesOf(disk, mark.bytes);
  for (const at of places) if (seen.size < mark.spared) seen.add(at);
  if (mark.beside !== undefined && !disk.includes(mark.beside)) return false;
  const flipped = places.filter((at) => !seen.has(at));
  const descriptor = openSync(image, "r+");
  for (const at of flipped) writeSync(descriptor, Buffer.of((disk[at] ?? 0) ^ 1), 0, 1, at);
  closeSync(descriptor);
  return flipped.length > 0;
}

/** strace sends SIGSTOP with each call that syncs, and the target stops when the call is done. */
export async function copyWhileFlipping<Name extends string>(
  options: Flipping<Name>,
): Promise<Flipped<Name>> {
  const { bed, volume, pki, marks, fails = [], targetFlags = [] } = options;
  const syncs = "syncfs,fdatasync,fsync";
  const calls = [syncs, ...fails.map((fail) => fail.split(":")[0])].join(",");
  const injected = [`${syncs}:signal=SIGSTOP`, ...fails].flatMap((what) => [
    "-e",
    `inject=${what}`,
  ]);
  const wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`, ...injected];
  const flags = ["--checkpoint", "0s", ...targetFlags];
  const { agent, port } = await startTarget({ volume: bed.path, pki, flags, run: { wrapper } });
  await using source = startSource({ volume, pki, port, flags: options.sourceFlags });
  const names = Object.keys(marks) as Name[];
  const flipped = Object.fromEntries(names.map((name) => [name, 0])) as { [name in Name]: number };
  const seen = Object.fromEntries(names.map((name) => [name, new Set()])) as {
    [name in Name]: Set<number>;
  };
  while (agent.isRunning()) {
    const [tracer, pid] = familyOf(agent.pid);
    if (tracer !== undefined && pid !== undefined && isStopped(tracer, pid)) {
      for (const name of names) {
        if (flipped[name] === marks[name].flips) continue;
        if (flipBit(bed.image, marks[name], seen[name])) flipped[name] += 1;
      }
      goOn(pid);
    }
    await sleep(5);
  }
  const [ended] = await Promise.all([agent.ended, source.ended]);
  return { ended, receipt: receiptOf(ended), flipped };
}

/** A process that ends looks stopped for a moment, since strace is told first. */
function goOn(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "ESRCH") throw error;
  }
}

/**
 * All threads are, and whatever they were asking of the disk is done. While strace has something to do, one of them may
 * only be about to ask: it would lose its own stop to the signal that lets the others go on. And before strace traces it,
 * it has stopped itself, to wait for strace.
 */
function isStopped(tracer: number, pid: number): boolean {
  try {
    const before = threadsOf(pid);
    if (before.length === 0 || !before.every((thread) => thread.isTraced && thread.isStopped)) {
      return false;
    }
    if (statusOf(`/proc/${tracer}`, "State")[0] !== "S") return false;
    // Nothing has moved in between.
    return JSON.stringify(threadsOf(pid)) === JSON.stringify(before);
  } catch {
    return false;
  }
}

interface Thread {
  readonly id: string;
  readonly isTraced: boolean;
  readonly isStopped: boolean;
  /** How often it has run. */
  readonly switches: readonly string[];
}

function threadsOf(pid: number): readonly Thread[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const folder = `/proc/${pid}/task/${id}`;
    return {
      id,
      isTraced: statusOf(folder, "TracerPid") !== "0",
      isStopped: /^[Tt]/.test(statusOf(folder, "State")),
      switches: ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map((name) =>
        statusOf(folder, name),
      ),
    };
  });
}

function statusOf(folder: string, name: string): string {
  const status = readFileSync(`${folder}/status`, "latin1");
  return new RegExp(`^${name}:\\s+(.*)$`, "m").exec(status)?.[1] ?? "";
}

/** Paths of the items of a class, in the receipt's order. */
export function pathsOf({ items }: Receipt, itemClass: string): readonly (string | null)[] {
  return items.filter((item) => item.class === itemClass).map(({ path }) => path);
}
