/**
 * The target's door: takes every trusted connection, hears its hello, and lets in one session at a time. A peer that
 * says nothing or nonsense is turned away and the door stays open; one that may not come in now is told why.
 */

import { LIMITS } from "../config/limits.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { quantityText } from "../core/units.ts";
import type { Listener } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import { ControlChannel } from "./control-channel.ts";
import { checkSameVolume, helloMessage, receiveHello } from "./greeting.ts";
import { noDeadline } from "./late.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";
import { toTlsIdentity } from "./tls-identity.ts";
import { waitFor } from "./waiting.ts";

export interface Guest {
  readonly channel: ControlChannel;
  readonly hello: MessageOf<"hello">;
}

/** The session that is let in, and what to do when its source comes back over a new connection. */
interface Seat {
  readonly session: string;
  readonly onReturn: (channel: ControlChannel) => void;
}

export class Door {
  readonly listener: Listener;
  readonly #context: SessionContext;
  readonly #run: TargetRun;
  readonly #greeting = new Set<ControlChannel>();
  readonly #closed = new AbortController();
  #guest: PromiseWithResolvers<Guest> | null = null;
  #seat: Seat | null = null;
  #noticedAt = Number.NEGATIVE_INFINITY;
  #unnoticed = 0;

  /** Throws what listen throws: 33 when the port is in use, 31 and others. */
  constructor(context: SessionContext, run: TargetRun) {
    this.#context = context;
    this.#run = run;
    this.listener = context.parts.addon.listen(
      {
        host: run.listen.host,
        port: run.listen.port,
        tls: toTlsIdentity(run.tls),
        handshakeTimeoutMs: LIMITS.handshakeTimeoutMs,
        maxUnauthenticated: LIMITS.maxUnauthenticated,
      },
      (connection) => void this.#greet(new ControlChannel(connection, this.#self())),
    );
  }

  /** The next session. Nobody is seated while this waits. */
  async admit(): Promise<Guest> {
    this.#seat = null;
    this.#guest = Promise.withResolvers<Guest>();
    return waitFor(this.#guest.promise, {
      deadlineMs: null,
      signal: this.#context.signal,
      tooLate: noDeadline,
    });
  }

  /** From now on a connection for this session is handed to `onReturn`, whose channel it then is. */
  expectReturn(session: string, onReturn: (channel: ControlChannel) => void): void {
    this.#seat = { session, onReturn };
  }

  /** May be called twice. Channels that were handed out are not closed. */
  close(): void {
    this.#closed.abort(closing());
    this.listener.close();
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
    const returning = this.#seat?.session === hello.session;
    if (hello.wants === "verdict" && !returning) throw unknownSession();
    if (hello.wants === "verdict") {
      await this.#answer(channel, hello);
      this.#seat?.onReturn(channel);
      return;
    }
    const place = this.#guest;
    if (place === null) throw inUse(this.#run.volume);
    // Taken before the answer is sent: the next hello must not find the place free.
    this.#guest = null;
    try {
      await this.#answer(channel, hello);
    } catch (error) {
      this.#guest = place;
      throw error;
    }
    place.resolve({ channel, hello });
  }

  async #answer(channel: ControlChannel, { session, wants }: MessageOf<"hello">): Promise<void> {
    await channel.send(
      helloMessage({
        agent: this.#context.parts.agent,
        transfer: this.#run.tls.transfer,
        volume: this.#run.volumeName,
        session,
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
    if (channel.otherVersion) this.#guest?.reject(error);
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
    message: `Another session is copying into the target volume ${escapeText(volume)}.`,
    next: "Wait until it has ended, or end it.",
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
