/**
 * The door of one volume: lets in one session at a time; a newer one takes the place of an older one. Who may not come
 * in now is told why.
 */

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { waitFor, type Wait } from "../core/waiting.ts";
import type { Listener } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { helloMessage } from "./greeting.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";

export interface Guest {
  readonly channel: ControlChannel;
  readonly hello: MessageOf<"hello">;
  /** Where its other connections come in. */
  readonly listener: Listener;
  /** Aborted, with the error to end with, when a newer session of the transfer takes this one's place. */
  readonly superseded: AbortSignal;
  /** There is a verdict, or soon will be: from now on no session that only looks takes this copy's place. */
  readonly keepPlace: () => void;
}

/** The newest session that was let in. */
interface Seat {
  readonly session: string;
  readonly epoch: number;
  readonly copies: boolean;
  readonly superseded: AbortController;
  /** What to do when its source comes back over a new connection; null before there is a verdict to come back for. */
  onReturn: ((channel: ControlChannel) => void) | null;
  /** "kept": there is a verdict, or soon will be. */
  stage: "greeted" | "served" | "kept";
}

export class Door {
  readonly #context: SessionContext;
  readonly #run: TargetRun;
  readonly #closed = new AbortController();
  /** Where the next session is waited for. */
  #admitting: PromiseWithResolvers<Guest> | null = null;
  /** Let in while the session before it was still being ended. */
  #waiting: Guest | null = null;
  #seat: Seat | null = null;

  constructor(context: SessionContext, run: TargetRun) {
    this.#context = context;
    this.#run = run;
  }

  get volumeName(): string {
    return this.#run.volumeName;
  }

  /** Aborted when nobody is let in any more, with what who comes is told. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Whether a session is waited for. */
  get isAwaited(): boolean {
    return this.#admitting !== null;
  }

  /** The next session; the one before it is over. */
  async admit(patience: Pick<Wait, "deadlineMs" | "tooLate">): Promise<Guest> {
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null && !waiting.channel.over.aborted) return waiting;
    if (this.#seat?.stage !== "greeted") this.#seat = null;
    const admitting = Promise.withResolvers<Guest>();
    this.#admitting = admitting;
    try {
      return await waitFor(admitting.promise, { ...patience, signal: this.#context.signal });
    } finally {
      this.#admitting = null;
    }
  }

  /** From now on a connection for this session is handed to `onReturn`, whose channel it then is. */
  expectReturn(session: string, onReturn: (channel: ControlChannel) => void): void {
    if (this.#seat?.session === session) this.#seat.onReturn = onReturn;
  }

  /** Answers the hello, and hands the channel on. Rejects when there is no place for it. */
  async enter(
    channel: ControlChannel,
    hello: MessageOf<"hello">,
    listener: Listener,
  ): Promise<void> {
    this.#closed.signal.throwIfAborted();
    if (hello.wants === "copy" && this.#run.readOnly) throw onlyLookedAt(this.#run.volume);
    if (hello.wants !== "verdict") return this.#letIn(channel, hello, listener);
    const onReturn = this.#seat?.session === hello.session ? this.#seat.onReturn : null;
    if (onReturn === null) throw unknownSession();
    await this.#answer(channel, hello);
    onReturn(channel);
  }

  /** No session will come: who waits for one ends with `error`. One that is there goes on. */
  fail(error: PvferryError): void {
    this.#admitting?.reject(error);
  }

  /** May be called twice; the first reason stays. Channels that were handed out are not closed. */
  close(reason: PvferryError): void {
    this.#closed.abort(reason);
    void this.#waiting?.channel.closeWith(reason);
  }

  /** A new session has a place when nobody is there, or somebody older who may be followed. */
  async #letIn(
    channel: ControlChannel,
    hello: MessageOf<"hello">,
    listener: Listener,
  ): Promise<void> {
    const { session, epoch, wants } = hello;
    const older = this.#seat;
    const superseded = new AbortController();
    const copies = wants === "copy";
    const seat: Seat = { session, epoch, copies, superseded, onReturn: null, stage: "greeted" };
    if (older !== null) this.#checkFollows(older, seat);
    // Taken before the answer is sent: the next hello must not find the place free.
    this.#seat = seat;
    try {
      await this.#answer(channel, hello);
      // It may have got everything while the answer went out, or heard its verdict.
      if (older !== null) this.#checkFollows(older, seat);
      this.#closed.signal.throwIfAborted();
      superseded.signal.throwIfAborted();
    } catch (error) {
      if (this.#seat === seat) this.#seat = older;
      throw error;
    }
    older?.superseded.abort(supersededBy(channel.peer));
    seat.stage = "served";
    const keepPlace = (): void => {
      seat.stage = "kept";
    };
    this.#hand({ channel, hello, listener, superseded: superseded.signal, keepPlace });
  }

  #hand(guest: Guest): void {
    // One that was let in and not yet served: it hears of it like any other.
    void this.#waiting?.channel.closeWith(supersededBy(guest.channel.peer));
    this.#waiting = this.#admitting === null ? guest : null;
    this.#admitting?.resolve(guest);
    this.#admitting = null;
  }

  /** Who only looks has nothing to gain from a copy's end that its own source has not heard of. */
  #checkFollows(older: Seat, newer: Seat): void {
    const { volume } = this.#run;
    if (newer.epoch <= older.epoch) throw inUse(volume);
    if (older.stage === "kept" && older.copies && !newer.copies) throw allCopied(volume);
  }

  async #answer(channel: ControlChannel, hello: MessageOf<"hello">): Promise<void> {
    const { session, epoch, wants } = hello;
    await channel.send(
      helloMessage({
        agent: this.#context.parts.agent,
        transfer: this.#run.transfer,
        volume: this.#run.volumeName,
        session,
        epoch,
        wants,
      }),
    );
    channel.startKeepAlive();
  }
}

function inUse(volume: string): PvferryError {
  return new PvferryError({
    code: 33,
    message: `Another session, which is not older than this one, is copying into the target volume ${escapeText(volume)}.`,
    next: "Wait until it has ended, or end it; should its source be gone, try again in a minute.",
  });
}

function onlyLookedAt(volume: string): PvferryError {
  return new PvferryError({
    code: 31,
    message: `The target was started with --read-only: nothing may be copied into ${escapeText(volume)}.`,
    next: "Run the source with --dry-run or --mode verify, or start the target without --read-only.",
  });
}

function allCopied(volume: string): PvferryError {
  return new PvferryError({
    code: 33,
    message: `Everything has been copied into the target volume ${escapeText(volume)} already, and its target is ending.`,
    next: "Look at what the target prints, and start another target when it has ended.",
  });
}

/** What the older session ends with, on both sides. */
function supersededBy(peer: string): PvferryError {
  return new PvferryError({
    code: 24,
    message: `This session was superseded by a newer one, from ${peer}.`,
    next: "Let the newer session finish.",
  });
}

function unknownSession(): PvferryError {
  return new PvferryError({
    code: 20,
    message: "This target knows nothing of the session whose verdict is asked for.",
    next: "Look at what the target printed, or run both sides again.",
  });
}

/** For who comes when a volume has had its session. */
export function servedAlready(volume: string): PvferryError {
  return new PvferryError({
    code: 33,
    message: `The target volume ${escapeText(volume)} has been served already, and its target lets in nobody else.`,
    next: "Look at what the target prints, and start another target for another pass.",
  });
}

/** For who comes when a volume has failed, in a target that still serves others. */
export function servedNoMore(volume: string, { code, message, next }: PvferryError): PvferryError {
  // Whose own connection was lost would come again and again.
  const told = code === 20 ? 24 : code;
  const what = `The target has given up the volume ${escapeText(volume)}: ${message}`;
  return new PvferryError({ code: told, message: what, next });
}

export function targetEnding(): PvferryError {
  return new PvferryError({
    code: 20,
    message: "The target is ending.",
    next: "Run both sides again.",
  });
}
