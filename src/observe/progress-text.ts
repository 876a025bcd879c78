/** A snapshot on one line. */

import type { TransferPhase } from "../core/events.ts";
import { bytesText, clockText, quantityText } from "../core/units.ts";
import { bytesPerSecond, remainingMs, type Snapshot } from "./snapshot.ts";

const PHASE_WORDS: Readonly<Record<TransferPhase, string>> = {
  connect: "connecting",
  hello: "greeting",
  preflight: "checking",
  copy: "copying",
  close: "closing walk",
  settle: "settling",
  durable: "bringing to disk",
  verdict: "done",
};

/** "copying, 42 %, 1.2 GB of 3.0 GB, 12,345 files, 310 MB/s, 0:12 left" */
export function progressLine(snapshot: Snapshot): string {
  if (snapshot.waitingFor !== null) return `waiting for ${snapshot.waitingFor}`;
  const { phase, percent } = snapshot;
  const share = percent === null ? [] : [`${percent} %`];
  return [PHASE_WORDS[phase], ...share, ...figures(snapshot)].join(", ");
}

/** How far an interrupted transfer was; null when nothing had moved. */
export function farText({ bytesDone, filesDone }: Snapshot): string | null {
  if (bytesDone === 0 && filesDone === 0) return null;
  return `${bytesText(bytesDone)} in ${quantityText(filesDone, "file")}`;
}

/** "copying [=====     ]  42 %  1.2 GB of 3.0 GB, ..."; the bar is left out before the whole is known. */
export function barLine(snapshot: Snapshot, columns: number): string {
  const { phase, percent, waitingFor } = snapshot;
  const word = PHASE_WORDS[phase];
  if (waitingFor !== null) return clip(`waiting for ${waitingFor}`, columns);
  const text = figures(snapshot).join(", ");
  if (percent === null) return clip(`${word}  ${text}`, columns);
  const fixed = `${word} [] ${`${percent}`.padStart(3)} %  ${text}`;
  const width = Math.min(BAR_WIDEST, columns - fixed.length - 1);
  if (width < BAR_NARROWEST) return clip(`${word} ${percent} %  ${text}`, columns);
  return `${word} [${bar(percent, width)}] ${`${percent}`.padStart(3)} %  ${text}`;
}

/** Leaves room for the figures on 80 columns, so that it does not jump when more of them are known. */
const BAR_WIDEST = 20;
const BAR_NARROWEST = 8;

function bar(percent: number, width: number): string {
  const filled = Math.floor((percent * width) / 100);
  return "=".repeat(filled) + " ".repeat(width - filled);
}

/** A line as wide as the terminal would wrap on some of them. */
function clip(line: string, columns: number): string {
  return line.length < columns ? line : line.slice(0, Math.max(0, columns - 1));
}

/** Only what is known: no rate before there is one, no end before the scan has found it. */
function figures(snapshot: Snapshot): readonly string[] {
  const { phase, bytesDone, bytesTotal, filesDone, entriesScanned, resent } = snapshot;
  if (phase === "connect" || phase === "hello") return [];
  if (phase === "close") {
    return [`${quantityText(snapshot.entriesRechecked, "entry", "entries")} looked at again`];
  }
  // After the scan the total says more; during it, that entries are still being found tells that something happens.
  const scanning = bytesTotal === null && phase === "copy";
  const rate = phase === "copy" ? bytesPerSecond(snapshot) : null;
  const left = remainingMs(snapshot);
  return [
    bytesTotal === null
      ? bytesText(bytesDone)
      : `${bytesText(bytesDone)} of ${bytesText(bytesTotal)}`,
    quantityText(filesDone, "file"),
    ...(scanning ? [`${quantityText(entriesScanned, "entry", "entries")} found so far`] : []),
    ...(rate === null ? [] : [`${bytesText(rate)}/s`]),
    ...(left === null ? [] : [`${clockText(left)} left`]),
    ...(resent === 0 ? [] : [`${bytesText(resent)} resent`]),
  ];
}
