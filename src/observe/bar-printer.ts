/** A bar on a terminal, and lines above it. Loaded where there is one: a log needs nothing of its library. */

import cliProgress from "cli-progress";

import type { Printer } from "./printers.ts";
import { barLine } from "./progress-text.ts";
import { FIRST_SNAPSHOT, type Snapshot } from "./snapshot.ts";

/** Redraws a second of so many times: smooth without being a load. */
const FRAMES_PER_SECOND = 5;

export function barPrinter(stream: NodeJS.WriteStream): Printer {
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
