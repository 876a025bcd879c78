/** The dialling side of one of a doctor's connections: each request has one answer, in order. */

import { LIMITS } from "../../config/limits.ts";
import { PvferryError, toPvferryError } from "../../core/errors.ts";
import { waitFor } from "../../core/waiting.ts";
import { nativeErrorFromJson } from "../../native/errors.ts";
import type { Connection } from "../../native/types.ts";
import { ControlFrameDecoder, encodeControlFrame } from "../../wire/control-frame.ts";
import {
  parseDoctorAnswer,
  type DoctorAnswer,
  type DoctorRequest,
} from "../../wire/doctor-messages.ts";
import { beforeFirstWord, refusedBy } from "../endings.ts";
import { packetsLost } from "./packets-lost.ts";

type Answer<Type extends DoctorAnswer["type"]> = Extract<DoctorAnswer, { type: Type }>;

export class DoctorLine {
  readonly peer: string;
  readonly #connection: Connection;
  readonly #waiting: PromiseWithResolvers<DoctorAnswer>[] = [];
  readonly #decoder = new ControlFrameDecoder();
  readonly #openedAt = performance.now();
  #heard = false;
  #end: PvferryError | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.peer = connection.peerAddress();
    connection.start((chunk, error) => this.#take(chunk, error));
  }

  async hello(agent: string, signal: AbortSignal): Promise<Answer<"hello">> {
    const request = { type: "hello", magic: "pvferry", agent, clock: Date.now() } as const;
    return this.#ask(request, null, "hello", signal);
  }

  async ping(signal: AbortSignal): Promise<void> {
    await this.#ask({ type: "ping" }, null, "pong", signal);
  }

  /** Resolves when the other side has all of it. Several may be on their way at once. */
  async load(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    await this.#ask({ type: "load", bytes: bytes.length }, bytes, "loaded", signal);
  }

  /** The same, once small messages have passed: when this does not, packets of full size are lost. */
  async probe(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    try {
      await this.load(bytes, signal);
    } catch (thrown) {
      const error = toPvferryError(thrown);
      throw this.#end === null && error.code === 20 ? packetsLost(this.peer, error) : error;
    }
  }

  /** May be called twice. */
  close(): void {
    this.#fail(closedHere(this.peer));
    this.#connection.close();
  }

  async #ask<Type extends DoctorAnswer["type"]>(
    request: DoctorRequest,
    payload: Uint8Array | null,
    type: Type,
    signal: AbortSignal,
  ): Promise<Answer<Type>> {
    if (this.#end !== null) throw this.#end;
    const waiting = Promise.withResolvers<DoctorAnswer>();
    // Whoever asked may have given up by then.
    waiting.promise.catch(() => undefined);
    this.#waiting.push(waiting);
    const deadlineMs = LIMITS.doctorAnswerMs;
    const tooLate = (): PvferryError => noAnswer(this.peer);
    const sending = this.#send(request, payload).catch((thrown: unknown) => {
      throw this.#broken(thrown);
    });
    const asked = Promise.all([waiting.promise, sending]);
    const [answer] = await waitFor(asked, { deadlineMs, signal, tooLate });
    if (answer.type === type) return answer as Answer<Type>;
    throw outOfOrder(this.peer, answer.type);
  }

  async #send(request: DoctorRequest, payload: Uint8Array | null): Promise<void> {
    const sent = this.#connection.send(encodeControlFrame(request), LIMITS.sendTimeoutMs);
    if (payload === null) return sent;
    await Promise.all([sent, this.#connection.send(payload, LIMITS.sendTimeoutMs)]);
  }

  #take(chunk: Uint8Array | null, error: string | null): void {
    try {
      if (error !== null) throw nativeErrorFromJson(error);
      if (chunk === null) throw closedThere(this.peer);
      this.#heard = true;
      for (const value of this.#decoder.push(chunk)) this.#answered(parseDoctorAnswer(value));
    } catch (thrown) {
      this.#fail(this.#broken(thrown));
    }
  }

  #broken(thrown: unknown): PvferryError {
    const error = toPvferryError(thrown);
    const afterMs = performance.now() - this.#openedAt;
    return this.#heard ? error : beforeFirstWord(this.peer, error, afterMs);
  }

  #answered(answer: DoctorAnswer): void {
    if (answer.type === "refused") throw refusedBy(this.peer, answer);
    const waiting = this.#waiting.shift();
    if (waiting === undefined) throw outOfOrder(this.peer, answer.type);
    waiting.resolve(answer);
  }

  #fail(error: PvferryError): void {
    this.#end ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#end);
  }
}

function noAnswer(peer: string): PvferryError {
  return new PvferryError({
    code: 20,
    message: `No answer came from ${peer} within ${LIMITS.doctorAnswerMs / 1_000} s`,
    next: "Check what stands between the two sides.",
  });
}

function closedThere(peer: string): PvferryError {
  return new PvferryError({
    code: 20,
    message: `The connection was closed by ${peer}`,
    next: "Check that the other side still runs.",
  });
}

function closedHere(peer: string): PvferryError {
  return new PvferryError({
    code: 20,
    message: `The connection to ${peer} is closed`,
    next: "Run the command again.",
  });
}

function outOfOrder(peer: string, type: string): PvferryError {
  return new PvferryError({
    code: 23,
    message: `${peer} answered "${type}" to another question`,
    next: "Check that both sides are pvferry agents of the same release.",
  });
}
