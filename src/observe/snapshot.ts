/** The one state that all printers show, made from a transfer's events. */

import { TRANSFER_PHASES, type TransferEvent, type TransferPhase } from "../core/events.ts";
import type { ItemClass } from "../native/types.ts";

/** `atMs` by a clock that only goes forward. */
interface Sample {
  readonly atMs: number;
  readonly bytes: number;
}

export interface Snapshot {
  readonly phase: TransferPhase;
  /** null when something moves. */
  readonly waitingFor: string | null;
  readonly bytesDone: number;
  readonly bytesTotal: number | null;
  readonly filesDone: number;
  readonly entriesScanned: number;
  readonly entriesRechecked: number;
  readonly lanesAlive: number;
  readonly resent: number;
  /** Never less than it was in the same session; 100 only when the volume is durable; null as long as the whole is not known. */
  readonly percent: number | null;
  readonly items: { readonly [itemClass in ItemClass]: number };
  /** The latest ones, for the rate. */
  readonly samples: readonly Sample[];
}

/** Long enough to be calm, short enough to show a stall. */
const RATE_WINDOW_MS = 10_000;
/** Less than this says nothing about the rate. */
const RATE_LEAST_MS = 1_000;

export const FIRST_SNAPSHOT: Snapshot = {
  phase: "connect",
  waitingFor: null,
  bytesDone: 0,
  bytesTotal: null,
  filesDone: 0,
  entriesScanned: 0,
  entriesRechecked: 0,
  lanesAlive: 0,
  resent: 0,
  percent: null,
  items: {
    unreadable: 0,
    "not-written": 0,
    "not-kept": 0,
    changed: 0,
    skipped: 0,
    repaired: 0,
    corrupted: 0,
  },
  samples: [],
};

export function reduce(before: Snapshot, event: TransferEvent, nowMs: number): Snapshot {
  switch (event.type) {
    case "phase":
      return withPercent({ ...before, phase: event.phase, waitingFor: null });
    case "waiting":
      return { ...before, waitingFor: event.for };
    // Nothing of an earlier session counts: to go on from its numbers would be a promise that nobody can keep.
    case "session":
      return { ...FIRST_SNAPSHOT, phase: before.phase };
    case "counters":
      return withPercent(countersApplied(before, event, nowMs));
    case "item": {
      const { class: itemClass } = event.item;
      return { ...before, items: { ...before.items, [itemClass]: before.items[itemClass] + 1 } };
    }
    case "differences":
    case "notice":
    case "detail":
      return before;
  }
}

type CountersEvent = Extract<TransferEvent, { readonly type: "counters" }>;

/** Within a session, what was done stays done. */
function countersApplied(before: Snapshot, event: CountersEvent, nowMs: number): Snapshot {
  const bytesDone = Math.max(before.bytesDone, event.bytesDone);
  const kept = before.samples.filter((sample) => nowMs - sample.atMs <= RATE_WINDOW_MS);
  return {
    ...before,
    bytesDone,
    // The whole is what stat(2) promised; a file system that compresses promises less than there is.
    bytesTotal: atLeast(bytesDone, event.bytesTotal ?? before.bytesTotal),
    filesDone: Math.max(before.filesDone, event.filesDone),
    entriesScanned: Math.max(before.entriesScanned, event.entriesScanned),
    entriesRechecked: event.entriesRechecked,
    lanesAlive: event.lanesAlive,
    resent: Math.max(before.resent, event.resent),
    samples: [...kept, { atMs: nowMs, bytes: bytesDone }],
  };
}

function atLeast(done: number, total: number | null): number | null {
  return total === null ? null : Math.max(done, total);
}

function withPercent(snapshot: Snapshot): Snapshot {
  const now = percentOf(snapshot);
  if (now === null || (snapshot.percent ?? -1) >= now) return snapshot;
  return { ...snapshot, percent: now };
}

/** 99 at most before the volume is durable, since what is only in a cache may still be lost. */
function percentOf({ phase, bytesDone, bytesTotal }: Snapshot): number | null {
  if (isDurable(phase)) return 100;
  if (bytesTotal === null || bytesTotal === 0) return null;
  return Math.min(99, Math.floor((bytesDone * 100) / bytesTotal));
}

function isDurable(phase: TransferPhase): boolean {
  return TRANSFER_PHASES.indexOf(phase) > TRANSFER_PHASES.indexOf("durable");
}

/** Over the last seconds; null when that is not known yet. */
export function bytesPerSecond({ samples }: Snapshot): number | null {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return null;
  const spanMs = last.atMs - first.atMs;
  return spanMs < RATE_LEAST_MS ? null : ((last.bytes - first.bytes) * 1_000) / spanMs;
}

/** null when the end is not known, or nothing moves. */
export function remainingMs(snapshot: Snapshot): number | null {
  const rate = bytesPerSecond(snapshot);
  const { phase, bytesTotal, bytesDone } = snapshot;
  if (phase !== "copy" || bytesTotal === null || rate === null || rate <= 0) return null;
  return (Math.max(0, bytesTotal - bytesDone) * 1_000) / rate;
}
