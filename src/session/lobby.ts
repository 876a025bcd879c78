/**
 * Where a target's connections come in: one listener for all of its volumes. Each trusted connection's hello is heard
 * here and led to the door of the volume that it names. A peer that says nothing or nonsense is turned away and the
 * lobby stays open; one that may not come in is told why. It closes with the last of its doors.
 */

import { LIMITS } from "../config/limits.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import { quantityText } from "../core/units.ts";
import type { Connection, Listener } from "../native/types.ts";
import type { MessageOf } from "../wire/control-messages.ts";
import { ControlChannel } from "./control-channel.ts";
import { DoctorHost } from "./doctor/host.ts";
import { targetEnding, type Door } from "./door.ts";
import { notServed, receiveHello } from "./greeting.ts";
import { intoListener } from "./into-listener.ts";
import { openListener } from "./open-listener.ts";
import type { Reach, SessionContext, TargetPlace } from "./run-options.ts";
import { SpareConnections } from "./spare-connections.ts";
import { Strangers } from "./strangers.ts";

interface Closable {
  close(): void;
}

export class Lobby {
  readonly #listener: Listener;
  readonly #context: SessionContext;
  readonly #transfer: string;
  /** By the name of the volume. */
  readonly #doors: ReadonlyMap<string, Door>;
  readonly #greeting = new Set<ControlChannel>();
  readonly #closed = new AbortController();
  readonly #strangers: Strangers;
  readonly #doctors: DoctorHost;
  /** Of connections, when this side does not listen itself. */
  readonly #supply: Closable | null;
  #noticedAt = Number.NEGATIVE_INFINITY;
  #unnoticed = 0;

  /** `context` watches what concerns no single volume. Throws what listen throws: 33 when the port is in use, 31 and others. */
  constructor(context: SessionContext, place: TargetPlace, doors: readonly Door[]) {
    this.#context = context;
    this.#transfer = place.tls.transfer;
    this.#doors = new Map(doors.map((door) => [door.volumeName, door]));
    const notice = (message: string): void => context.observe({ type: "notice", message });
    this.#doctors = new DoctorHost(context.parts.agent, notice);
    const { reach } = place;
    const where = reach.by === "listening" ? reach : { host: "", port: null };
    this.#listener = openListener(context.parts.addon, where, place.tls, (connection) =>
      this.#take(connection),
    );
    this.#strangers = new Strangers(() => this.#listener.counts(), notice);
    this.#supply = this.#openSupply(reach);
    for (const door of doors) door.closed.addEventListener("abort", () => this.#closeWithLast());
    place.onListening(this.#listener.port());
  }

  /** May be called twice. Channels that were handed out are not closed. */
  close(): void {
    this.#closed.abort(targetEnding());
    this.#supply?.close();
    this.#strangers.close();
    this.#doctors.close();
    this.#listener.close();
  }

  #closeWithLast(): void {
    if ([...this.#doors.values()].every(({ closed }) => closed.aborted)) this.close();
  }

  /** A failure for good counts as long as nobody has been let in: a session that runs has its connections. */
  #openSupply(reach: Reach): Closable | null {
    if (reach.by === "listening") return null;
    const doors = [...this.#doors.values()];
    const waiting = (what: string): void => {
      if (doors.some(({ isAwaited }) => isAwaited)) {
        this.#context.observe({ type: "waiting", for: what });
      }
    };
    const fail = (error: PvferryError): void => {
      for (const door of doors) door.fail(error);
    };
    if (reach.by === "dialling") {
      return new SpareConnections(this.#listener, reach.path, { waiting, fail });
    }
    const connection = intoListener(this.#context.parts.addon, this.#listener);
    const listening = (text: string): void =>
      this.#context.observe({ type: "notice", message: `Listening on ${text}` });
    return reach.forward.open({ connection, listening, waiting, fail });
  }

  /** Doctors are no guests: what they ask takes no session's place. */
  #take(connection: Connection): void {
    if (connection.protocol() === "doctor") return this.#doctors.welcome(connection);
    const { agent } = this.#context.parts;
    void this.#greet(new ControlChannel(connection, { role: "target", agent }));
  }

  async #greet(channel: ControlChannel): Promise<void> {
    this.#makeRoom();
    this.#greeting.add(channel);
    try {
      const hello = await receiveHello(channel, this.#closed.signal);
      await this.#doorFor(hello).enter(channel, hello, this.#listener);
    } catch (error) {
      await this.#turnAway(channel, toPvferryError(error));
    } finally {
      this.#greeting.delete(channel);
    }
  }

  #doorFor({ transfer, volume }: MessageOf<"hello">): Door {
    if (transfer !== this.#transfer) throw notServed("transfer", [this.#transfer], transfer);
    const door = this.#doors.get(volume);
    if (door === undefined) throw notServed("volume", [...this.#doors.keys()], volume);
    return door;
  }

  /** The oldest of too many silent ones makes room. */
  #makeRoom(): void {
    const [oldest] = this.#greeting;
    if (oldest === undefined || this.#greeting.size < LIMITS.greetingsMost) return;
    this.#greeting.delete(oldest);
    void oldest.closeWith(crowded());
  }

  async #turnAway(channel: ControlChannel, error: PvferryError): Promise<void> {
    await channel.closeWith(error);
    if (this.#closed.signal.aborted) return;
    this.#notice(channel.peer, error);
    // Another release on the other side: waiting longer will not bring the right one by itself. Nobody knows for which
    // volume it came.
    const [only, ...others] = this.#doors.values();
    if (channel.otherVersion && others.length === 0) only?.fail(error);
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
}

function crowded(): PvferryError {
  return new PvferryError({
    code: 33,
    message: "Too many connections to this target say nothing; the oldest made room.",
    next: "Try again in a minute.",
  });
}
