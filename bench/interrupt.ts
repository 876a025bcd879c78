/** A first try that is killed on its way. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import type { Contender } from "./contender.ts";
import type { Place } from "./place.ts";

const POLL_MS = 2;
const LONGEST_MS = 60_000;

async function until(what: string, reached: () => boolean): Promise<void> {
  const deadline = performance.now() + LONGEST_MS;
  while (!reached()) {
    if (performance.now() > deadline) throw new Error(`waited too long until ${what}`);
    await sleep(POLL_MS);
  }
}

/**
 * Starts a copy and kills the process that reads the source (kill -9) when the target holds so many bytes more. The other
 * side finds out by itself, as after a node's failure, and may save what it has.
 */
export async function interrupt(contender: Contender, place: Place, bytes: number): Promise<void> {
  const { group, name } = contender;
  const daemons = group.running();
  const before = place.used();
  const child = contender.start();
  const ended = once(child, "close");
  await until(`${name} had copied half`, () => place.used() - before >= bytes);
  child.kill("SIGKILL");
  const [, signal] = (await ended) as [number | null, NodeJS.Signals | null];
  if (signal !== "SIGKILL") throw new Error(`${name} ended before it was interrupted`);
  await until(`${name} had noticed`, () => group.running() <= daemons);
}
