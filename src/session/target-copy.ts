/** The target's part of the copy: the native session, its counters, and what the source is told meanwhile. */

import { statfs } from "node:fs/promises";

import { LIMITS } from "../config/limits.ts";
import { isLook, type LookMode, type Mode } from "../core/mode.ts";
import type { PassRecord } from "../native/journal-types.ts";
import type {
  Comparison,
  Existing,
  Listener,
  LookOptions,
  LookSession,
  MaxDelete,
  SessionResult,
  TargetSession,
  VerifyMode,
} from "../native/types.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import { readCounters, type Counters } from "./counters.ts";
import { DifferenceLedger } from "./difference-ledger.ts";
import { ItemLedger } from "./item-ledger.ts";
import { NativeEvents } from "./native-events.ts";
import type { SessionContext } from "./run-options.ts";

export interface TargetCopyStart {
  readonly mode: Mode;
  readonly volume: string;
  /** Recorded in the volume until the copy is finished. */
  readonly transfer: string;
  readonly compare: Comparison | null;
  readonly discardJournal: boolean;
  readonly checkpointMs: number;
  readonly lanes: number;
  /** base64 of 32 bytes. */
  readonly secret: string;
  readonly existing: Existing;
  readonly maxDelete: MaxDelete;
  readonly allowEmptySource: boolean;
  readonly inplace: boolean;
  /** The source's. */
  readonly rules: readonly string[];
  readonly verify: VerifyMode;
  readonly listener: Listener;
}

export class TargetCopy {
  readonly ledger: ItemLedger;
  readonly differences: DifferenceLedger;
  /** The source has to announce attributes with its files. */
  readonly compares: boolean;
  readonly #context: SessionContext;
  readonly #volume: string;
  readonly #events: NativeEvents;
  readonly #session: TargetSession | LookSession;
  readonly #memory: BigUint64Array;
  #timers: NodeJS.Timeout[] = [];
  #scanned: MessageOf<"scanned"> | null = null;
  #last: Counters | null = null;

  /** Opens the native session, and with it the volume. Throws what openTarget or openLook throws. */
  constructor(context: SessionContext, start: TargetCopyStart) {
    this.#context = context;
    this.#volume = start.volume;
    this.ledger = new ItemLedger(context.observe);
    this.differences = new DifferenceLedger(context.observe);
    this.compares = start.compare !== null || isLook(start.mode);
    this.#events = new NativeEvents({
      onItems: (items) => this.ledger.add(items),
      onDifferences: (differences) => this.differences.add(differences),
      // Only a source walks again; its target is told over the control channel.
      onClosing: () => undefined,
      // The source dials it again; its notice and the receipt's count are enough.
      onLaneLost: () => undefined,
      onIndexLost: () => undefined,
    });
    this.#session = openNative(context, start, this.#events);
    this.#memory = this.#session.counters();
  }

  /** Everything is written, though not yet durable; or the core's reason why not. */
  get settled(): Promise<SessionResult> {
    return this.#events.settled;
  }

  counters(): Counters {
    return this.#last ?? readCounters(this.#memory);
  }

  onScanned(message: MessageOf<"scanned">): void {
    this.#scanned = message;
  }

  /** From now on the watcher sees the counters, and `tell` gets messages for the source. */
  report(tell: (message: OutgoingMessage) => void): void {
    this.#timers = [
      setInterval(() => this.#showCounters(), LIMITS.countersEveryMs),
      setInterval(() => void this.#tellProgress(tell), LIMITS.progressEveryMs),
    ];
  }

  /** Everything is written: shows the last of it. */
  finishReport(): void {
    this.#stopTimers();
    this.#showCounters();
  }

  /** Resolves when all that was written, if anything, is on disk. */
  async makeDurable(): Promise<void> {
    if ("durable" in this.#session) await this.#session.durable();
  }

  /** Resolves when the journal has it on disk. */
  async recordPass(pass: PassRecord): Promise<void> {
    if ("recordPass" in this.#session) await this.#session.recordPass(pass);
  }

  /** The copy is finished: resolves when the volume has forgotten that it was under way. */
  async leave(): Promise<void> {
    if ("leave" in this.#session) await this.#session.leave();
  }

  /** Stops all work at once. May be called twice. */
  close(): void {
    // The memory belongs to the native session, which is about to go.
    this.#last = this.counters();
    this.#stopTimers();
    this.#session.close();
  }

  /** After close(): resolves when the volume can be opened again. */
  async gone(): Promise<void> {
    if ("gone" in this.#session) await this.#session.gone();
  }

  #stopTimers(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }

  #showCounters(): void {
    const { bytesDone, filesDone, entriesDone, lanesAlive, resent } = this.counters();
    this.#context.observe({
      type: "counters",
      bytesDone,
      bytesTotal: this.#scanned?.done === true ? this.#scanned.bytes : null,
      filesDone,
      entriesScanned: this.#scanned?.entries ?? entriesDone,
      entriesRechecked: 0,
      lanesAlive,
      resent,
    });
  }

  async #tellProgress(tell: (message: OutgoingMessage) => void): Promise<void> {
    const free = await freeSpace(this.#volume);
    if (free === null || this.#timers.length === 0) return;
    const { entriesDone, filesDone, bytesDone } = this.counters();
    tell({ type: "progress", entries: entriesDone, files: filesDone, bytes: bytesDone, ...free });
  }
}

/** null when the volume does not say: then the source goes by what it heard before. */
async function freeSpace(path: string): Promise<{ freeBytes: number; freeInodes: number } | null> {
  try {
    const { bavail, bsize, ffree } = await statfs(path);
    return { freeBytes: bavail * bsize, freeInodes: ffree };
  } catch {
    return null;
  }
}

function openNative(
  context: SessionContext,
  start: TargetCopyStart,
  events: NativeEvents,
): TargetSession | LookSession {
  const { mode, listener, transfer, discardJournal, checkpointMs, verify, inplace, ...both } =
    start;
  const { addon } = context.parts;
  const timeouts = {
    idleTimeoutMs: LIMITS.idleTimeoutMs,
    keepAliveMs: LIMITS.keepAliveMs,
  };
  if (isLook(mode)) {
    return addon.openLook({ ...both, ...timeouts, ...LOOKS[mode](start) }, listener, events.take);
  }
  const options = { ...both, ...timeouts, transfer, discardJournal, checkpointMs, verify, inplace };
  return addon.openTarget(options, listener, events.take);
}

type Look = Pick<LookOptions, "compare" | "existing" | "maxDelete" | "allowEmptySource">;

/** A dry run judges as the copy would, also where that finds nothing to compare with. */
const LOOKS: { readonly [mode in LookMode]: (start: TargetCopyStart) => Look } = {
  "dry-run": ({ compare, existing, maxDelete, allowEmptySource }) => ({
    compare: compare ?? { digests: false, racyFrom: null },
    existing,
    maxDelete,
    allowEmptySource,
  }),
  compare: () => ({
    compare: null,
    existing: "mirror",
    maxDelete: { entries: null, percent: null },
    allowEmptySource: true,
  }),
};
