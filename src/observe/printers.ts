/** Where a snapshot is shown: a line now and then in a log, or nowhere; bar-printer.ts has the bar of a terminal. */

import { LIMITS } from "../config/limits.ts";
import { progressLine } from "./progress-text.ts";
import type { Snapshot } from "./snapshot.ts";

export interface Printer {
  /** A line of its own, whatever is shown besides. */
  say(line: string): void;
  show(snapshot: Snapshot): void;
  /** Leaves the terminal as it was. Nothing is shown afterwards. May be called twice. */
  stop(): void;
}

export const SILENT_PRINTER: Printer = {
  say: () => undefined,
  show: () => undefined,
  stop: () => undefined,
};

export interface LineStyle {
  /** What every line begins with. */
  readonly prefix?: string;
  /** Shorter in tests. */
  readonly everyMs?: number;
}

/** The timer alone keeps no process alive. */
export function linePrinter(
  stream: NodeJS.WritableStream,
  { prefix = "", everyMs = LIMITS.progressLineEveryMs }: LineStyle = {},
): Printer {
  let latest: Snapshot | null = null;
  const say = (line: string): void => void stream.write(`${prefix}${line}\n`);
  const timer = setInterval(() => {
    if (latest !== null) say(progressLine(latest));
  }, everyMs);
  timer.unref();
  return {
    say,
    show: (snapshot) => {
      latest = snapshot;
    },
    stop: () => clearInterval(timer),
  };
}
