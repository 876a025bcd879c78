/** The target of a copy: a process of its own, as between clusters, that never outlives this one. */

import { fork, type ChildProcess } from "node:child_process";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import type { Receipt } from "../core/receipt.ts";
import type { CopyReport, CopyStart } from "./copy-messages.ts";

/** There is always exactly one. A child that was killed has vanished, and said nothing: the error is this side's. */
export type ChildEnd =
  | { readonly type: "receipt"; readonly receipt: Receipt }
  | { readonly type: "failed" | "vanished"; readonly error: PvferryError };

export class CopyChild {
  readonly #process: ChildProcess;
  readonly #listening = Promise.withResolvers<number>();
  readonly #ended = Promise.withResolvers<ChildEnd>();
  readonly #exited = Promise.withResolvers<void>();

  /**
   * Starts the process at once, so that it loads while this one makes certificates. It has no stdin and no stdout, which
   * are this process's alone, and writes to the same stderr only what it cannot send.
   */
  constructor(program: string, notice: (message: string) => void) {
    this.#process = fork(program, ["copy-target"], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#listening.promise.catch(() => undefined);
    this.#process.on("message", (report: CopyReport) => this.#take(report, notice));
    this.#process.on("error", (cause) => {
      this.#end("vanished", endedByItself(cause.message, cause));
      // Never started: no exit follows.
      if (this.#process.pid === undefined) this.#exited.resolve();
    });
    this.#process.on("exit", (code, signal) => {
      this.#end("vanished", endedByItself(signal ?? `exit code ${code ?? 1}`));
      this.#exited.resolve();
    });
  }

  /** Resolves with the port; rejects with what kept the target from listening. */
  start(start: CopyStart): Promise<number> {
    // A child that is gone already is told by "exit", not by this.
    this.#process.send(start, () => undefined);
    return this.#listening.promise;
  }

  get ended(): Promise<ChildEnd> {
    return this.#ended.promise;
  }

  /** How it ended, or null when it did not within the time. */
  async endWithin(ms: number): Promise<ChildEnd | null> {
    const timer = new AbortController();
    try {
      return await Promise.race([
        this.#ended.promise,
        sleep(ms, null, { signal: timer.signal, ref: true }),
      ]);
    } finally {
      timer.abort();
    }
  }

  /** Asks it to end, and ends it when it does not. Returns when it is gone. */
  async close(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect();
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), LIMITS.stopWithinMs);
    await this.#exited.promise;
    clearTimeout(kill);
  }

  /** For when this process ends within the same instant. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #take(report: CopyReport, notice: (message: string) => void): void {
    switch (report.type) {
      case "listening":
        return this.#listening.resolve(report.port);
      case "notice":
        return notice(report.message);
      case "receipt":
        return this.#ended.resolve({ type: "receipt", receipt: report.receipt });
      case "failed":
        return this.#end("failed", new PvferryError(report));
    }
  }

  /** The first end counts: settled promises take no second value. */
  #end(type: "failed" | "vanished", error: PvferryError): void {
    this.#listening.reject(error);
    this.#ended.resolve({ type, error });
  }
}

function endedByItself(how: string, cause?: unknown): PvferryError {
  return new PvferryError({
    code: 24,
    message: `The target's process ended unexpectedly (${how}).`,
    next: `Look for what ended it (out of memory, somebody's kill), then run the same command again. This process is ${process.pid}.`,
    cause,
  });
}
