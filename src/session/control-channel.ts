/**
 * The control channel: numbered, checked messages over a connection that already proved who is at its other end.
 * Everything the peer sends is judged here against the table in wire/control-messages.ts; a breach ends the channel
 * with code 23 and tells the peer why.
 */

import { LIMITS } from "../config/limits.ts";
import type { PvferryError } from "../core/errors.ts";
import { toPvferryError } from "../core/errors.ts";
import { oppositeRole, type Role } from "../core/transfer-id.ts";
import { waitFor, type Wait } from "../core/waiting.ts";
import { nativeErrorFromJson } from "../native/errors.ts";
import type { Connection } from "../native/types.ts";
import { ControlFrameDecoder, encodeControlFrame } from "../wire/control-frame.ts";
import {
  CONTROL_MESSAGES,
  controlMessageValue,
  parseControlMessage,
  type ControlMessage,
  type ControlMessageType,
  type ControlStage,
  type MessageOf,
  type MessageRule,
  type OutgoingMessage,
} from "../wire/control-messages.ts";
import {
  parseHelloOpening,
  speaksOurVersion,
  versionMismatch,
  type HelloOpening,
} from "../wire/hello.ts";
import * as endings from "./endings.ts";
import { FloodGate, Inbox } from "./inbox.ts";
import { KeepAlive } from "./keep-alive.ts";

export interface ChannelSelf {
  readonly role: Role;
  /** This agent's version. */
  readonly agent: string;
}

export class ControlChannel {
  /** "the target at 10.0.0.7:6443", for sentences. */
  readonly peer: string;
  /** Where this side's session stands; decides which messages may be received. The session sets it. */
  stage: ControlStage = "hello";

  /** From the hello to its answer; null before that. */
  helloTookMs: number | null = null;

  readonly #connection: Connection;
  readonly #self: ChannelSelf;
  readonly #decoder = new ControlFrameDecoder();
  readonly #gate = new FloodGate(() => performance.now());
  readonly #inbox = new Inbox();
  readonly #keepAlive: KeepAlive;
  readonly #over = new AbortController();
  readonly #seen = new Set<ControlMessageType>();
  readonly #openedAt = performance.now();
  #otherVersion = false;
  #answering = false;
  #received = 0;
  #sent = 0;
  #outbox = 0;
  #lastSend: Promise<void> = Promise.resolve();

  constructor(connection: Connection, self: ChannelSelf) {
    this.#connection = connection;
    this.#self = self;
    this.peer = `the ${oppositeRole(self.role)} at ${connection.peerAddress()}`;
    this.#keepAlive = new KeepAlive({
      ping: () => this.post({ type: "ping" }),
      dead: () => this.#end(endings.silent(this.peer)),
    });
    connection.start((chunk, error) => this.#onData(chunk, error));
  }

  /** Aborted, with a PvferryError as its reason, when the channel is over for whatever reason. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** True when the channel ended because the peer is of a release that this one cannot talk to. */
  get otherVersion(): boolean {
    return this.#otherVersion;
  }

  /** As the kernel has it, which knows only the way to the first proxy; null for a bridged connection. */
  get roundTripMs(): number | null {
    const roundTripUs = this.#connection.roundTripUs();
    return roundTripUs === null ? null : roundTripUs / 1_000;
  }

  /** From the hello on; before it the peer may be anything. */
  startKeepAlive(): void {
    if (!this.#over.signal.aborted) this.#keepAlive.start();
  }

  /** Resolves when the bytes are with the kernel. */
  async send(message: OutgoingMessage): Promise<void> {
    this.#over.signal.throwIfAborted();
    const frame = encodeControlFrame(controlMessageValue(message, this.#sent));
    if (message.type !== "refused") this.#sent += 1;
    await this.#enqueue(frame);
  }

  /** Sends without waiting; a failure ends the channel, which is how it is heard of. */
  post(message: OutgoingMessage): void {
    this.send(message).catch(() => undefined);
  }

  /** The next message, which must be one of `wanted` and allowed in this stage. What came before an end is handed out. */
  async receive<T extends ControlMessageType>(
    wanted: readonly T[],
    wait: Wait,
  ): Promise<MessageOf<T>> {
    const message = await waitFor(this.#inbox.take(), wait);
    if (isOneOf(message, wanted) && ruleOf(message.type).during.includes(this.stage)) {
      return message;
    }
    const error = endings.outOfOrder(this.peer, message.type, this.stage);
    this.#violated(error);
    throw error;
  }

  /** Tells the peer why, as far as it still listens, and closes. */
  async closeWith(error: PvferryError): Promise<void> {
    if (this.#over.signal.aborted) return;
    const sent = this.send(endings.lastWord(this.stage, error));
    const wait = { deadlineMs: LIMITS.lastWordMs, signal: this.#over.signal, tooLate: () => error };
    await waitFor(sent, wait).catch(() => undefined);
    this.#end(error);
  }

  /** Without a word. May be called twice. */
  close(): void {
    this.#end(endings.closedHere(this.peer));
  }

  async #enqueue(frame: Uint8Array): Promise<void> {
    if (this.#outbox >= LIMITS.controlOutboxMessages) this.#end(endings.notReading(this.peer));
    this.#over.signal.throwIfAborted();
    this.#outbox += 1;
    const sending = this.#lastSend.then(() => this.#connection.send(frame, LIMITS.sendTimeoutMs));
    this.#lastSend = sending.catch(() => undefined);
    try {
      await sending;
    } catch (error) {
      this.#break(endings.lost(this.peer, toPvferryError(error)));
      throw this.#over.signal.reason;
    } finally {
      this.#outbox -= 1;
    }
  }

  #onData(chunk: Uint8Array | null, error: string | null): void {
    if (this.#over.signal.aborted) return;
    if (error !== null) this.#break(endings.lost(this.peer, nativeErrorFromJson(error)));
    else if (chunk === null) this.#break(endings.closedThere(this.peer, this.#decoder.atBoundary));
    else this.#decode(chunk);
  }

  /** The connection is gone. Before a target has said anything, that says more than that it is. */
  #break(error: PvferryError): void {
    const isUnheard = this.#seen.size === 0 && this.#self.role === "source";
    const afterMs = performance.now() - this.#openedAt;
    this.#end(isUnheard ? endings.beforeFirstWord(this.peer, error, afterMs) : error);
  }

  #decode(chunk: Uint8Array): void {
    this.#keepAlive.heard();
    try {
      for (const value of this.#decoder.push(chunk)) {
        this.#take(value);
        if (this.#over.signal.aborted) return;
      }
    } catch (error) {
      this.#violated(endings.breach(this.peer, toPvferryError(error)));
    }
  }

  #take(value: unknown): void {
    this.#gate.pass();
    const message = this.#seen.size === 0 ? this.#firstMessage(value) : parseControlMessage(value);
    this.#judge(message);
    if (message.type === "ping") this.#answerPing();
    else if (message.type === "refused") this.#end(endings.refusedBy(this.peer, message));
    else if (message.type === "cancel") this.#end(endings.cancelledBy(this.peer, message));
    else if (message.type !== "pong") this.#inbox.put(message);
  }

  /** One answer at a time: more pings than can be answered need no more answers. */
  #answerPing(): void {
    if (this.#answering) return;
    this.#answering = true;
    this.send({ type: "pong" })
      .catch(() => undefined)
      .finally(() => {
        this.#answering = false;
      });
  }

  /** A hello whose version this side speaks, or a refusal; nothing else is looked at. */
  #firstMessage(value: unknown): ControlMessage {
    const isRefusal =
      typeof value === "object" && value !== null && "type" in value && value.type === "refused";
    if (!isRefusal) this.#checkOpening(parseHelloOpening(value));
    return parseControlMessage(value);
  }

  #checkOpening(opening: HelloOpening): void {
    if (speaksOurVersion(opening)) return;
    this.#otherVersion = true;
    throw versionMismatch(this.#self, opening);
  }

  /** Number, sender and repetition: what can be told on arrival, whatever stage this side has reached by now. */
  #judge(message: ControlMessage): void {
    const rule = ruleOf(message.type);
    if (message.type !== "refused") {
      if (message.seq !== this.#received) throw endings.wrongNumber(message.seq, this.#received);
      this.#received += 1;
    }
    if (rule.from === this.#self.role) throw endings.wrongSender(message.type, rule.from);
    if (rule.once && this.#seen.has(message.type)) throw endings.repeated(message.type);
    this.#seen.add(message.type);
  }

  #violated(error: PvferryError): void {
    this.post(endings.lastWord(this.stage, error));
    this.#end(error);
  }

  #end(error: PvferryError): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort(error);
    this.#keepAlive.stop();
    this.#inbox.end(error);
    this.#closeAfterLastWord();
  }

  /** A peer that no longer reads must not hold the connection open. */
  #closeAfterLastWord(): void {
    const timer = setTimeout(() => this.#connection.close(), LIMITS.lastWordMs);
    void this.#lastSend.then(() => {
      clearTimeout(timer);
      this.#connection.close();
    });
  }
}

function ruleOf(type: ControlMessageType): MessageRule {
  return CONTROL_MESSAGES[type];
}

function isOneOf<T extends ControlMessageType>(
  message: ControlMessage,
  wanted: readonly T[],
): message is Extract<ControlMessage, { type: T }> & MessageOf<T> {
  return wanted.some((type) => type === message.type);
}
