/** Where a snapshot is shown: a bar on a terminal, a line now and then in a log, or nowhere. */

import cliProgress from "cli-progress";

import { LIMITS } from "../config/limits.ts";
import { barLine, progressLine } from "./progress-text.ts";
import { FIRST_SNAPSHOT, type Snapshot } from "./snapshot.ts";

export interface Printer {
  /** A line of its own, whatever is shown besides. */
  say(line: string): void;
  show(snapshot: Snapshot): void;
  /** Leaves the terminal as it was. Nothing is shown afterwards. May be called twice. */
  stop(): void;
}

/** The stream that people read: stderr. */
export type PeopleStream = NodeJS.WriteStream;

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

/** Redraws a second of so many times: smooth without being a load. */
const FRAMES_PER_SECOND = 5;

export function barPrinter(stream: PeopleStream): Printer {
  let latest: Snapshot = FIRST_SNAPSHOT;
  let stopped = false;
  const bars = new cliProgress.MultiBar({
    stream,
    fps: FRAMES_PER_SECOND,
    hideCursor: true,
    // Lines above the bar may be longer than the terminal is wide.
    linewrap: true,
    // Such a line takes the bar's place, also when the bar itself has not changed.
    forceRedraw: true,
    // Signals are the command's business; it stops the printer.
    gracefulExit: false,
    format: (_, { maxWidth }: { readonly maxWidth?: number }) => barLine(latest, maxWidth ?? 80),
  });
  bars.create(100, 0);
  return {
    say: (line) => {
      if (stopped) return void stream.write(`${line}\n`);
      bars.log(`${line}\n`);
      bars.update();
    },
    show: (snapshot) => {
      latest = snapshot;
    },
    stop: () => {
      if (!stopped) bars.stop();
      stopped = true;
    },
  };
}
