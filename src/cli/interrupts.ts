/**
 * Ctrl-C and SIGTERM: the first one asks the command to stop, with a deadline; a second one ends the process at once.
 */

import process from "node:process";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";

type InterruptCode = 130 | 143;

const SIGNALS: readonly (readonly [NodeJS.Signals, InterruptCode])[] = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  // The terminal was closed.
  ["SIGHUP", 143],
];

export interface Interrupts {
  /** Its reason is the error that the command is to end with. */
  readonly signal: AbortSignal;
  /** The same as a signal from outside: the process that this one works for has gone. */
  readonly interrupt: (code: InterruptCode) => void;
  /** The command has ended: the deadline is off. A later signal still ends the process at once. */
  readonly ended: () => void;
}

/**
 * `onDeadline` has to end the process: the command did not stop in time. A process that another one started leaves
 * Ctrl-C to that one, since a terminal sends it to both.
 */
export function watchInterrupts(
  onDeadline: (error: PvferryError) => void,
  ctrlC: "obeyed" | "left to the parent" = "obeyed",
): Interrupts {
  const controller = new AbortController();
  let deadline: NodeJS.Timeout | undefined;
  const interrupt = (code: InterruptCode): void => {
    if (controller.signal.aborted) process.exit(code);
    const error = interruption(code);
    deadline = setTimeout(() => onDeadline(error), LIMITS.stopWithinMs).unref();
    controller.abort(error);
  };
  for (const [name, code] of SIGNALS) {
    const ignored = name === "SIGINT" && ctrlC === "left to the parent";
    process.on(name, () => (ignored ? undefined : interrupt(code)));
  }
  return { signal: controller.signal, interrupt, ended: () => clearTimeout(deadline) };
}

function interruption(code: InterruptCode): PvferryError {
  return new PvferryError({
    code,
    message: code === 130 ? "Interrupted." : "Terminated.",
    next: "Run the same command again; nothing that looks finished is unfinished.",
  });
}
