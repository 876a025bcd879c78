/** The source's part of the copy: the native session, its lanes, its counters, and the watch over the target's space. */

import { LIMITS } from "../config/limits.ts";
import type { PvferryError } from "../core/errors.ts";
import { isLook } from "../core/mode.ts";
import type { SessionResult, SourceSession } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { readCounters, type Counters } from "./counters.ts";
import { DifferenceLedger } from "./difference-ledger.ts";
import type { EarlyConnections } from "./early-connections.ts";
import { ItemLedger } from "./item-ledger.ts";
import { LaneTuning } from "./lane-tuning.ts";
import { Lanes } from "./lanes.ts";
import { NativeEvents } from "./native-events.ts";
import type { SessionContext, SourceRun } from "./run-options.ts";
import type { SourceAgreement } from "./source-agreement.ts";
import { refusalWhileCopying, type SpaceFacts } from "./space.ts";
import { toTlsIdentity } from "./tls-identity.ts";
import { laneRange } from "./way-in.ts";

export interface SourceCopyStart {
  readonly run: SourceRun;
  readonly channel: ControlChannel;
  readonly agreement: SourceAgreement;
  readonly early: EarlyConnections;
  /** Every entry is acknowledged, and the closing walk begins. */
  readonly onClosing: () => void;
}

export class SourceCopy {
  readonly ledger: ItemLedger;
  readonly differences: DifferenceLedger;
  readonly #context: SessionContext;
  readonly #start: SourceCopyStart;
  readonly #events: NativeEvents;
  readonly #session: SourceSession;
  readonly #lanes: Lanes;
  readonly #memory: BigUint64Array;
  readonly #timers: NodeJS.Timeout[];
  #targetSpace: SpaceFacts;
  readonly #scanBegan = new Date().toISOString();
  /** null until the scan is known to be done. */
  #scanEnded: string | null = null;
  #last: Counters | null = null;

  /** Opens the native session and begins to dial. Throws what openSource throws. */
  constructor(context: SessionContext, start: SourceCopyStart) {
    this.#context = context;
    this.#start = start;
    this.#targetSpace = start.agreement.target;
    this.ledger = new ItemLedger(context.observe);
    this.differences = new DifferenceLedger(context.observe);
    this.#events = new NativeEvents({
      onItems: (items) => this.ledger.add(items),
      onDifferences: (differences) => this.differences.add(differences),
      onClosing: start.onClosing,
      onLaneLost: (loss) => this.#lanes.onLost(loss),
      onIndexLost: (error) => this.#lanes.onIndexLost(error),
    });
    this.#session = openNative(context, start, this.#events);
    this.#memory = this.#session.counters();
    this.#lanes = this.#makeLanes();
    const tuning = this.#openLanes();
    this.#timers = [
      setInterval(() => tuning.look(performance.now()), LIMITS.pathEveryMs),
      setInterval(() => this.#showCounters(), LIMITS.countersEveryMs),
      setInterval(() => this.#tellAndCheck(), LIMITS.progressEveryMs),
    ];
  }

  /** Every entry is acknowledged; or the core's, or this side's own, reason why not. */
  get settled(): Promise<SessionResult> {
    return this.#events.settled;
  }

  get laneCount(): number {
    return this.#lanes.count;
  }

  get lanesLost(): number {
    return this.#lanes.lost;
  }

  /** From before the scan began to when it was done, by this side's clock. */
  get scan(): MessageOf<"settled">["scan"] {
    return { began: this.#scanBegan, ended: this.#scanEnded ?? new Date().toISOString() };
  }

  counters(): Counters {
    return this.#last ?? readCounters(this.#memory);
  }

  onProgress(progress: MessageOf<"progress">): void {
    // A volume that is enlarged while the copy runs counts with what it has gained.
    const freeBytes = Math.max(this.#targetSpace.freeBytes, progress.freeBytes);
    const freeInodes = Math.max(this.#targetSpace.freeInodes, progress.freeInodes);
    this.#targetSpace = { ...this.#targetSpace, freeBytes, freeInodes };
  }

  /** The native session has settled. Its connections stay: the target may still be reading from them. */
  finish(): void {
    this.#showCounters();
    this.#stopTimers();
    this.#lanes.close();
  }

  /** Stops all work at once. May be called twice. */
  close(): void {
    // The memory belongs to the native session, which is about to go.
    this.#last = this.counters();
    this.#stopTimers();
    this.#lanes.close();
    this.#session.close();
  }

  #stopTimers(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #makeLanes(): Lanes {
    const { run, early } = this.#start;
    const { path } = run;
    const timeoutMs = LIMITS.connectAttemptMs;
    return new Lanes(this.#session, {
      dial: (turn, signal) => path.dial(turn, { timeoutMs, signal }),
      ready: (kind) => early.take(kind),
      notice: (message) => this.#context.observe({ type: "notice", message }),
      fail: (error) => this.#fail(error),
    });
  }

  #openLanes(): LaneTuning {
    const { run, channel, agreement } = this.#start;
    const most = Math.min(run.lanesMost, agreement.ready.lanes);
    const isBridged = channel.roundTripMs === null;
    return new LaneTuning({
      session: this.#session,
      lanes: this.#lanes,
      congestion: run.congestion,
      range: laneRange(run, most),
      // Between agents with proxies between them only an answer tells how far it is.
      roundTripMs: run.path.proxies.length === 0 ? channel.roundTripMs : channel.helloTookMs,
      bytesDone: isBridged ? () => this.counters().bytesDone : null,
      observe: this.#context.observe,
    });
  }

  #showCounters(): void {
    const counters = this.counters();
    this.#lanes.watch(counters);
    const { bytesDone, filesDone, entriesScanned, entriesRechecked, lanesAlive, resent } = counters;
    const bytesTotal = this.#bytesTotal(counters);
    this.#context.observe({
      type: "counters",
      bytesDone,
      bytesTotal,
      filesDone,
      entriesScanned,
      entriesRechecked,
      lanesAlive,
      resent,
    });
  }

  /** The scan knows best once it is done; before that, what was counted first. */
  #bytesTotal(counters: Counters): number | null {
    if (counters.scanDone > 0) return counters.bytesScanned;
    return this.#start.agreement.totals?.allocatedBytes ?? null;
  }

  #tellAndCheck(): void {
    const counters = this.counters();
    this.#tellScanned(counters);
    if (this.#start.run.mode === "compare") return;
    const counted = { entries: counters.entriesScanned, allocatedBytes: counters.allocatedScanned };
    const refusal = refusalWhileCopying(this.#start.agreement.facts, counted, this.#targetSpace);
    if (refusal !== null) this.#fail(refusal);
  }

  #tellScanned(counters: Counters): void {
    if (this.#scanEnded !== null) return;
    const done = counters.scanDone > 0;
    if (done) this.#scanEnded = new Date().toISOString();
    this.#start.channel.post({
      type: "scanned",
      entries: counters.entriesScanned,
      bytes: counters.bytesScanned,
      allocatedBytes: counters.allocatedScanned,
      done,
    });
  }

  #fail(error: PvferryError): void {
    this.#events.fail(error);
  }
}

function openNative(
  context: SessionContext,
  start: SourceCopyStart,
  events: NativeEvents,
): SourceSession {
  const { run } = start;
  const { ready } = start.agreement;
  return context.parts.addon.openSource(
    {
      volume: run.volume,
      pass: run.pass,
      looks: isLook(run.mode),
      lanes: ready.lanes,
      scanThreads: run.scanThreads,
      compress: run.compress,
      oneFileSystem: run.oneFileSystem,
      selinux: run.selinux,
      rules: run.rules,
      rereads: run.rereads,
      verify: run.verify,
      compare: ready.compare,
      secret: ready.secret,
      tls: toTlsIdentity(run.tls),
      serverName: run.path.serverName,
      bwlimit: run.bwlimit,
      handshakeTimeoutMs: LIMITS.handshakeTimeoutMs,
      idleTimeoutMs: LIMITS.idleTimeoutMs,
      keepAliveMs: LIMITS.keepAliveMs,
    },
    events.take,
  );
}
