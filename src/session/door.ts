/**
 * The target's door: takes every trusted connection, hears its hello, and lets in one session at a time; a newer one
 * takes the place of an older one. A peer that says nothing or nonsense is turned away and the door stays open; one that
 * may not come in now is told why.
 */

import { LIMITS } from "../config/limits.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { quantityText } from "../core/units.ts";
import { waitFor, type Wait } from "../core/waiting.ts";
import type { Connection, Listener } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import { ControlChannel } from "./control-channel.ts";
import { DoctorHost } from "./doctor/host.ts";
import { checkSameVolume, helloMessage, receiveHello } from "./greeting.ts";
import { intoListener } from "./into-listener.ts";
import { openListener } from "./open-listener.ts";
import type { Reach, SessionContext, TargetRun } from "./run-options.ts";
import { SpareConnections } from "./spare-connections.ts";
import { Strangers } from "./strangers.ts";

export interface Guest {
  readonly channel: ControlChannel;
  readonly hello: MessageOf<"hello">;
  /** Aborted, with the error to end with, when a newer session of the transfer takes this one's place. */
  readonly superseded: AbortSignal;
  /** There is a verdict, or soon will be: from now on no session that only looks takes this copy's place. */
  readonly keepPlace: () => void;
}

interface Closable {
  close(): void;
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
  readonly listener: Listener;
  readonly #context: SessionContext;
  readonly #run: TargetRun;
  readonly #greeting = new Set<ControlChannel>();
  readonly #closed = new AbortController();
  readonly #strangers: Strangers;
  readonly #doctors: DoctorHost;
  /** Of connections, when this side does not listen itself. */
  readonly #supply: Closable | null;
  /** Where the next session is waited for. */
  #admitting: PromiseWithResolvers<Guest> | null = null;
  /** Let in while the session before it was still being ended. */
  #waiting: Guest | null = null;
  #seat: Seat | null = null;
  #noticedAt = Number.NEGATIVE_INFINITY;
  #unnoticed = 0;

  /** Throws what listen throws: 33 when the port is in use, 31 and others. */
  constructor(context: SessionContext, run: TargetRun) {
    this.#context = context;
    this.#run = run;
    const notice = (message: string): void => context.observe({ type: "notice", message });
    this.#doctors = new DoctorHost(context.parts.agent, notice);
    const { reach } = run;
    const place = reach.by === "listening" ? reach : { host: "", port: null };
    this.listener = openListener(context.parts.addon, place, run.tls, (connection) =>
      this.#take(connection),
    );
    this.#strangers = new Strangers(() => this.listener.counts(), notice);
    this.#supply = this.#openSupply(reach);
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

  /** May be called twice. Channels that were handed out are not closed. */
  close(): void {
    this.#closed.abort(closing());
    void this.#waiting?.channel.closeWith(closing());
    this.#supply?.close();
    this.#strangers.close();
    this.#doctors.close();
    this.listener.close();
  }

  /** A failure for good counts as long as nobody has been let in: a session that runs has its connections. */
  #openSupply(reach: Reach): Closable | null {
    if (reach.by === "listening") return null;
    const waiting = (what: string): void => {
      if (this.#admitting !== null) this.#context.observe({ type: "waiting", for: what });
    };
    const fail = (error: PvferryError): void => this.#admitting?.reject(error);
    if (reach.by === "dialling") {
      return new SpareConnections(this.listener, reach.path, { waiting, fail });
    }
    const connection = intoListener(this.#context.parts.addon, this.listener);
    const listening = (text: string): void =>
      this.#context.observe({ type: "notice", message: `Listening on ${text}` });
    return reach.forward.open({ connection, listening, waiting, fail });
  }

  /** Doctors are no guests: what they ask takes no session's place. */
  #take(connection: Connection): void {
    if (connection.protocol() === "doctor") return this.#doctors.welcome(connection);
    void this.#greet(new ControlChannel(connection, this.#self()));
  }

  async #greet(channel: ControlChannel): Promise<void> {
    this.#makeRoom();
    this.#greeting.add(channel);
    try {
      const hello = await receiveHello(channel, this.#closed.signal);
      checkSameVolume({ transfer: this.#run.tls.transfer, volume: this.#run.volumeName }, hello);
      await this.#seatFor(channel, hello);
    } catch (error) {
      await this.#turnAway(channel, toPvferryError(error));
    } finally {
      this.#greeting.delete(channel);
    }
  }

  /** Answers the hello, and hands the channel on. Throws when there is no place for it. */
  async #seatFor(channel: ControlChannel, hello: MessageOf<"hello">): Promise<void> {
    if (hello.wants === "copy" && this.#run.readOnly) throw onlyLookedAt(this.#run.volume);
    if (hello.wants !== "verdict") return this.#letIn(channel, hello);
    const onReturn = this.#seat?.session === hello.session ? this.#seat.onReturn : null;
    if (onReturn === null) throw unknownSession();
    await this.#answer(channel, hello);
    onReturn(channel);
  }

  /** A new session has a place when nobody is there, or somebody older who may be followed. */
  async #letIn(channel: ControlChannel, hello: MessageOf<"hello">): Promise<void> {
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
    this.#hand({ channel, hello, superseded: superseded.signal, keepPlace });
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
        transfer: this.#run.tls.transfer,
        volume: this.#run.volumeName,
        session,
        epoch,
        wants,
      }),
    );
    channel.startKeepAlive();
  }

  /** The oldest of too many silent ones makes room. */
  #makeRoom(): void {
    const [oldest] = this.#greeting;
    if (oldest === undefined || this.#greeting.size < LIMITS.greetingsMost) return;
    this.#greeting.delete(oldest);
    void oldest.closeWith(inUse(this.#run.volume));
  }

  async #turnAway(channel: ControlChannel, error: PvferryError): Promise<void> {
    await channel.closeWith(error);
    if (this.#closed.signal.aborted) return;
    this.#notice(channel.peer, error);
    // Another release on the other side: waiting longer will not bring the right one by itself.
    if (channel.otherVersion) this.#admitting?.reject(error);
  }

  #notice(peer: string, error: PvferryError): void {
    const now = performance.now();
    if (now - this.#noticedAt < LIMITS.turnedAwayNoticeEveryMs) {
      this.#unnoticed += 1;
      return;
    }
    const others =
      this.#unnoticed === 0 ? "" : ` (and ${quantityText(this.#unnoticed, "other")} before it)`;
    this.#context.observe({
      type: "notice",
      message: `Turned away ${peer}${others}: ${error.message}`,
    });
    this.#noticedAt = now;
    this.#unnoticed = 0;
  }

  #self(): { role: "target"; agent: string } {
    return { role: "target", agent: this.#context.parts.agent };
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

function closing(): PvferryError {
  return new PvferryError({
    code: 20,
    message: "The target is ending.",
    next: "Run both sides again.",
  });
}
