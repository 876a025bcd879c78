/** What a target volume's journal says, for people and as JSON. Reads, and nothing else. */

import { PvferryError } from "../core/errors.ts";
import { exitCodeRow, isExitCode } from "../core/exit-codes.ts";
import { escapeText, printableName } from "../core/names.ts";
import { bytesText, countText, quantityText } from "../core/units.ts";
import { loadAddon } from "../native/addon.ts";
import type {
  JournalDoubt,
  JournalPart,
  JournalText,
  PassRecord,
} from "../native/journal-types.ts";
import { momentText } from "../session/moment.ts";
import type { Outcome } from "./output.ts";
import type { CommandContext } from "./run-command.ts";
import { volumeArgument } from "./volume-argument.ts";

/** 31 where there is no journal, 35 where it cannot be read to its end. */
export async function journalCommand(context: CommandContext<"journal">): Promise<Outcome> {
  const volume = volumeArgument(context.args[0], "DIR");
  const journal = await loadAddon().readJournal(volume);
  if (journal === null) throw noJournal(volume);
  return { code: 0, document: journal, lines: journalLines(journal), words: null, brief: null };
}

function noJournal(volume: string): PvferryError {
  return new PvferryError({
    code: 31,
    message: `The volume ${escapeText(volume)} has no journal: no copy into it is unfinished.`,
    next: "Name the folder where the target volume is mounted; it has .pvferry/journal from the first write to the end of the last pass.",
  });
}

export function journalLines(journal: JournalText): readonly string[] {
  return [
    row("transfer", escapeText(journal.transfer)),
    row("journal", `${escapeText(journal.path)}, ${bytesText(journal.bytes)}`),
    row("state", stateText(journal)),
    row("in use by", journal.heldBy ?? "nobody"),
    row("sessions", sessionsText(journal)),
    row("checkpoints", checkpointsText(journal)),
    ...(journal.doubt === null ? [] : [row("in doubt", doubtText(journal.doubt))]),
    ...journal.passes.map((pass) => row(`pass ${pass.number}`, passText(pass))),
    ...journal.parts.map((part) => row("in flight", partText(part))),
    ...journal.torn.map((file) => row("torn", printableName(file))),
  ];
}

const LABEL_WIDTH = 13;

function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${text}`;
}

function stateText({ isFinished, heldBy }: JournalText): string {
  if (!isFinished) return "unfinished";
  const waits = "its target waits for the source's farewell, and removes this folder then";
  const left = "its target ended before it could remove this folder, as the next one will";
  return `finished; ${heldBy === null ? left : waits}`;
}

function sessionsText({ sessions }: JournalText): string {
  const last = sessions.at(-1);
  if (last === undefined) return "none";
  const began = `began ${momentText(last.began)} with pvferry ${escapeText(last.agent)}`;
  return `${countText(last.epoch)}; the last ${began}`;
}

function checkpointsText({ checkpoints }: JournalText): string {
  const last = checkpoints.at(-1);
  if (last === undefined) return "none";
  const covered = `what changed before ${momentText(last.covers)} is on disk`;
  return `${countText(last.number)}; the last at ${momentText(last.at)}: ${covered}`;
}

function doubtText({ from, until }: JournalDoubt): string {
  const since = from === null ? "" : `from ${momentText(from)} `;
  return `files changed ${since}until ${momentText(until)}, which are compared by content`;
}

function passText(pass: PassRecord): string {
  const verdict = isExitCode(pass.verdict) ? ` (${exitCodeRow(pass.verdict).name})` : "";
  const ended = `${pass.kind}, ended ${momentText(pass.ended)} with exit code ${pass.verdict}${verdict}`;
  return `${ended}, receipt ${pass.receipt}`;
}

function partText(part: JournalPart): string {
  const percent = part.size === 0 ? 100 : Math.floor((100 * part.writtenBytes) / part.size);
  const ranges = quantityText(part.ranges.length, "range");
  const written = `${percent} % of ${bytesText(part.size)} in ${ranges} at ${momentText(part.recorded)}`;
  return `${escapeText(part.name)}: ${written}, path's BLAKE3 ${part.pathHash}`;
}
