/**
 * The listening side of a diagnosis: says who is there, answers pings, and counts what is loaded. It touches
 * neither volume nor session, and lasts for a bounded time.
 */

import { LIMITS } from "../../config/limits.ts";
import { PvferryError, toPvferryError } from "../../core/errors.ts";
import type { Connection } from "../../native/types.ts";
import { encodeControlFrame } from "../../wire/control-frame.ts";
import {
  DoctorRequestDecoder,
  type DoctorAnswer,
  type DoctorRequest,
} from "../../wire/doctor-messages.ts";

export class DoctorHost {
  readonly #agent: string;
  readonly #notice: (message: string) => void;
  readonly #visits = new Set<Connection>();

  /** `notice` is told of each visitor, once. */
  constructor(agent: string, notice: (message: string) => void) {
    this.#agent = agent;
    this.#notice = notice;
  }

  /** Takes the connection over, and closes it. */
  welcome(connection: Connection): void {
    if (this.#visits.size >= LIMITS.doctorVisitsMost) return void this.#refuse(connection, busy());
    const visit = new Visit(connection, this.#agent, {
      notice: this.#notice,
      ended: () => this.#visits.delete(connection),
    });
    this.#visits.add(connection);
    visit.begin();
  }

  close(): void {
    for (const connection of this.#visits) connection.close();
    this.#visits.clear();
  }

  async #refuse(connection: Connection, { code, message, next }: PvferryError): Promise<void> {
    await say(connection, { type: "refused", code, message, next }).catch(() => undefined);
    connection.close();
  }
}

interface VisitCalls {
  readonly notice: (message: string) => void;
  readonly ended: () => void;
}

class Visit {
  readonly #connection: Connection;
  readonly #agent: string;
  readonly #calls: VisitCalls;
  readonly #decoder = new DoctorRequestDecoder();
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(connection: Connection, agent: string, calls: VisitCalls) {
    this.#connection = connection;
    this.#agent = agent;
    this.#calls = calls;
  }

  begin(): void {
    this.#timer = setTimeout(() => this.#end(), LIMITS.doctorVisitMs);
    this.#connection.start((chunk) => {
      if (chunk === null) return this.#end();
      try {
        for (const request of this.#decoder.push(chunk)) this.#answer(request);
      } catch (thrown) {
        const { code, message, next } = toPvferryError(thrown);
        this.#say({ type: "refused", code, message, next });
        this.#end();
      }
    });
  }

  #answer(request: DoctorRequest): void {
    switch (request.type) {
      case "hello":
        this.#calls.notice(`A doctor examines the path from ${this.#connection.peerAddress()}.`);
        return this.#say({
          type: "hello",
          magic: "pvferry",
          agent: this.#agent,
          clock: Date.now(),
        });
      case "ping":
        return this.#say({ type: "pong" });
      case "load":
        return this.#say({ type: "loaded", bytes: request.bytes });
    }
  }

  #say(answer: DoctorAnswer): void {
    // Who does not read their answers has gone, or will be gone when the visit ends.
    say(this.#connection, answer).catch(() => this.#end());
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#connection.close();
    this.#calls.ended();
  }
}

async function say(connection: Connection, answer: DoctorAnswer): Promise<void> {
  await connection.send(encodeControlFrame(answer), LIMITS.sendTimeoutMs);
}

function busy(): PvferryError {
  return new PvferryError({
    code: 33,
    message: "Too many doctors are examining this path.",
    next: "Try again when they have finished.",
  });
}
