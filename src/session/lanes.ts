/**
 * The source's index and lanes: dials them, hands their sockets to the native session, and dials a lost lane again with
 * a growing pause. A lane takes nothing with it, so that one is missing is no reason to stop; that all are is.
 */

import { LIMITS } from "../config/limits.ts";
import { backOffMs } from "../core/back-off.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { sentence } from "../core/sentences.ts";
import { durationText, quantityText } from "../core/units.ts";
import { sleep } from "../core/waiting.ts";
import type { SourceSession, UnboundConnection } from "../native/types.ts";
import type { DialedStream } from "../net/dialer.ts";
import type { Counters } from "./counters.ts";
import type { LaneLoss } from "./native-events.ts";

export interface LaneCalls {
  /** `turn` grows with each try, and differs from lane to lane. */
  readonly dial: (turn: number, signal: AbortSignal) => Promise<DialedStream>;
  /** One that was dialled before, if there is one. */
  readonly ready: (kind: "index" | "lane") => Promise<UnboundConnection | null>;
  readonly notice: (message: string) => void;
  /** The session cannot go on. */
  readonly fail: (error: PvferryError) => void;
}

const BACK_OFF = { firstMs: LIMITS.laneRetryFirstMs, longestMs: LIMITS.laneRetryLongestMs };

/** Any of these that grows is a sign that the session goes on. */
type Progress = Pick<Counters, "bytesDone" | "entriesDone" | "entriesRechecked">;

export class Lanes {
  readonly #session: SourceSession;
  readonly #calls: LaneCalls;
  readonly #closed = new AbortController();
  /** How often in a row each lane was lost, or not reached, without having done any work. */
  readonly #failures = new Map<number, number>();
  #indexFailures = 0;
  #count = 0;
  #done = 0;
  #progressAt = performance.now();
  /** Lost, or not reached, since anything was acknowledged. */
  #lostInVain = 0;
  #noticedAt = Number.NEGATIVE_INFINITY;
  #unnoticed = 0;
  #lost = 0;

  constructor(session: SourceSession, calls: LaneCalls) {
    this.#session = session;
    this.#calls = calls;
  }

  /** Lanes that were lost so far, however often each. */
  get lost(): number {
    return this.#lost;
  }

  /** How many there are to be. */
  get count(): number {
    return this.#count;
  }

  /** Returns at once. */
  open(count: number): void {
    void this.#attachIndex();
    this.grow(count);
  }

  /** Returns at once. Lanes bear the numbers 0 to `count` - 1; none is taken away again. */
  grow(count: number): void {
    for (; this.#count < count; this.#count += 1) void this.#attachLane(this.#count);
  }

  onLost({ lane, reason, worked }: Pick<LaneLoss, "lane" | "reason" | "worked">): void {
    if (this.#closed.signal.aborted) return;
    this.#lost += 1;
    this.#lostInVain += 1;
    this.#notice(lane, reason);
    if (worked) this.#failures.delete(lane);
    this.#countFailure(lane);
    void this.#attachLane(lane);
  }

  /** The network failed before the index was bound. What the target refuses in words ends the session elsewhere. */
  onIndexLost(error: PvferryError): void {
    void this.#attachIndexAgain(error);
  }

  /** Called with every reading of the counters. Lanes that are lost as fast as they are dialled move nothing. */
  watch({ bytesDone, entriesDone, entriesRechecked }: Progress): void {
    const now = performance.now();
    const done = bytesDone + entriesDone + entriesRechecked;
    if (done !== this.#done) {
      this.#done = done;
      this.#progressAt = now;
      this.#lostInVain = 0;
    }
    const hopeless = this.#lostInVain > this.#count * LIMITS.laneAttemptsInVain;
    if (hopeless && now - this.#progressAt > LIMITS.noLaneTimeoutMs) this.#calls.fail(noLane());
  }

  /** No dialling after this. May be called twice. */
  close(): void {
    this.#closed.abort(new Error("the lanes are closed"));
  }

  async #attachIndex(): Promise<void> {
    try {
      const ready = await this.#takeReady("index", this.#indexFailures);
      if (ready !== null) return this.#session.bindIndex(ready);
      await this.#attach(this.#indexFailures, ({ fd, peerName }) =>
        this.#session.attachIndex(fd, peerName),
      );
    } catch (error) {
      await this.#attachIndexAgain(toPvferryError(error));
    }
  }

  async #attachIndexAgain(error: PvferryError): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#indexFailures += 1;
    if (this.#indexFailures === LIMITS.indexAttempts) return this.#calls.fail(error);
    const pauseMs = backOffMs(BACK_OFF, this.#indexFailures);
    await sleep(pauseMs, this.#closed.signal).catch(() => undefined);
    if (!this.#closed.signal.aborted) await this.#attachIndex();
  }

  async #attachLane(lane: number): Promise<void> {
    for (;;) {
      try {
        const failures = this.#failures.get(lane) ?? 0;
        if (failures > 0) await sleep(backOffMs(BACK_OFF, failures), this.#closed.signal);
        const ready = await this.#takeReady("lane", failures);
        if (ready !== null) return this.#session.bindLane(ready, lane);
        return await this.#attach(lane + 1 + failures, ({ fd, peerName }) =>
          this.#session.attachLane(fd, lane, peerName),
        );
      } catch {
        // Silent on purpose: watch() speaks up when no lane is left.
        if (this.#closed.signal.aborted) return;
        this.#countFailure(lane);
        this.#lostInVain += 1;
      }
    }
  }

  /** Those that were dialled together with one that failed are no better. */
  async #takeReady(kind: "index" | "lane", failures: number): Promise<UnboundConnection | null> {
    if (failures > 0) return null;
    const ready = await this.#calls.ready(kind);
    if (!this.#closed.signal.aborted) return ready;
    ready?.close();
    throw this.#closed.signal.reason;
  }

  async #attach(turn: number, hand: (stream: DialedStream) => void): Promise<void> {
    const stream = await this.#calls.dial(turn, this.#closed.signal);
    try {
      if (!this.#closed.signal.aborted) hand(stream);
    } finally {
      stream.release();
    }
  }

  #countFailure(lane: number): void {
    this.#failures.set(lane, (this.#failures.get(lane) ?? 0) + 1);
  }

  #notice(lane: number, reason: string): void {
    const now = performance.now();
    if (now - this.#noticedAt < LIMITS.laneNoticeEveryMs) {
      this.#unnoticed += 1;
      return;
    }
    const others =
      this.#unnoticed === 0 ? "" : `, and ${quantityText(this.#unnoticed, "other")} before it`;
    const what = `Lane ${lane + 1} was lost${others}, and is dialled again: ${reason}`;
    this.#calls.notice(sentence(what));
    this.#noticedAt = now;
    this.#unnoticed = 0;
  }
}

function noLane(): PvferryError {
  return new PvferryError({
    code: 20,
    message: `No lane to the target has held, and nothing was copied, for ${durationText(LIMITS.noLaneTimeoutMs)}.`,
    next: "Check what stands between the two sides (firewalls, limits on connections), then run both sides again.",
  });
}
