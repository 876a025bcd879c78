/**
 * The target's connection to its source. While entries are copied it must last; once this side has written everything,
 * it may break and the source may come back over a new one, within the time that a verdict is kept.
 */

import { LIMITS } from "../config/limits.ts";
import type { PvferryError } from "../core/errors.ts";
import { toPvferryError } from "../core/errors.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import { noDeadline } from "./late.ts";

export interface LinkCalls {
  readonly onScanned: (message: MessageOf<"scanned">) => void;
  /** The source has nothing left to send, and looks whether anything has changed. */
  readonly onClosing: () => void;
  readonly notice: (message: string) => void;
}

export class SourceLink {
  readonly #calls: LinkCalls;
  readonly #settled = Promise.withResolvers<MessageOf<"settled">>();
  readonly #farewell = Promise.withResolvers<void>();
  readonly #broken = new AbortController();
  readonly #readers = new AbortController();
  #channel: ControlChannel | null = null;
  /** The channel over which the source said that it has settled; it waits for the verdict there. */
  #asking: ControlChannel | null = null;
  #verdict: OutgoingMessage | null = null;
  #mayReturn = false;
  #hasSettled = false;
  /** How the last connection ended, when it was lost. */
  #lost: PvferryError | null = null;
  #patience: NodeJS.Timeout | undefined = undefined;

  constructor(channel: ControlChannel, calls: LinkCalls) {
    this.#calls = calls;
    this.take(channel);
  }

  /** Aborted when the session cannot go on: the source gave up, broke the protocol, or is lost for good. */
  get broken(): AbortSignal {
    return this.#broken.signal;
  }

  get settled(): Promise<MessageOf<"settled">> {
    return this.#settled.promise;
  }

  get farewell(): Promise<void> {
    return this.#farewell.promise;
  }

  /** The channel at this moment; null while the source is away. */
  get channel(): ControlChannel | null {
    return this.#channel;
  }

  /** From the first channel on, and again when the source comes back. */
  take(channel: ControlChannel): void {
    clearTimeout(this.#patience);
    const former = this.#channel;
    this.#channel = channel;
    this.#lost = null;
    former?.close();
    void this.#listen(channel);
  }

  /** This side has written everything: from now on a lost connection is no reason to fail. */
  allowReturn(): void {
    this.#mayReturn = true;
    if (this.#lost !== null) this.#awaitReturn(this.#lost);
  }

  post(message: OutgoingMessage): void {
    this.#channel?.post(message);
  }

  /** The source hears it now, or when it comes back and asks. */
  tell(verdict: OutgoingMessage): void {
    this.#verdict = verdict;
    this.#answer();
  }

  /** No more listening. The channel itself is left to whoever ends the session. */
  close(): void {
    clearTimeout(this.#patience);
    this.#readers.abort(new Error("the link is closed"));
  }

  async #listen(channel: ControlChannel): Promise<void> {
    try {
      for (;;) this.#takeMessage(channel, await this.#next(channel));
    } catch (error) {
      if (this.#readers.signal.aborted || channel !== this.#channel) return;
      this.#channel = null;
      this.#onLost(toPvferryError(error));
    }
  }

  async #next(channel: ControlChannel): Promise<Heard> {
    const wait = { deadlineMs: null, signal: this.#readers.signal, tooLate: noDeadline };
    return channel.receive(["scanned", "closing", "settled", "farewell"], wait);
  }

  #takeMessage(channel: ControlChannel, message: Heard): void {
    switch (message.type) {
      case "scanned":
        return this.#calls.onScanned(message);
      case "closing":
        return this.#calls.onClosing();
      case "farewell":
        return this.#farewell.resolve();
      case "settled":
        this.#hasSettled = true;
        this.#settled.resolve(message);
        this.#asking = channel;
        this.#answer();
    }
  }

  /** Once per channel: a source that came back says again that it has settled. */
  #answer(): void {
    if (this.#verdict === null || this.#asking === null) return;
    this.#asking.post(this.#verdict);
    this.#asking = null;
  }

  #onLost(error: PvferryError): void {
    if (error.code !== 20) return this.#broken.abort(error);
    this.#lost = error;
    if (this.#mayReturn) return this.#awaitReturn(error);
    // Everything may be written already: that news comes from a thread, and may be a moment behind.
    this.#patience = setTimeout(() => this.#broken.abort(error), LIMITS.settledNewsMs);
  }

  #awaitReturn(error: PvferryError): void {
    clearTimeout(this.#patience);
    if (this.#hasSettled) return;
    this.#calls.notice(`${error.message} Waiting for the source to come back.`);
    this.#patience = setTimeout(() => this.#broken.abort(error), LIMITS.verdictKeptMs);
  }
}

type Heard = MessageOf<"scanned" | "closing" | "settled" | "farewell">;
