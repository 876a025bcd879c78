/** A receipt for people, from nothing but the receipt. */

import { isLook } from "../core/mode.ts";
import { printableName } from "../core/names.ts";
import type { Receipt } from "../core/receipt.ts";
import { bytesText, clockText, countText, quantityText } from "../core/units.ts";
import type { EntryCounts, NotPreserved } from "../native/types.ts";
import { itemText } from "./item-text.ts";

/** Items shown; the receipt itself holds many more. */
const ITEMS_SHOWN = 10;
const LABEL_WIDTH = 13;

/** Several lines without a newline at the end: verdict first, advice last and only where something is to be done. */
export function receiptText(receipt: Receipt): string {
  const { exitCode, mode, pass } = receipt;
  const isDone = exitCode === 0 && pass.kind === "cutover" && mode !== "dry-run";
  return [
    receipt.message,
    ...(isLook(mode) ? lookRows(receipt) : copyRows(receipt)),
    row("time", timeText(receipt)),
    ...rootRows(receipt),
    ...notPreservedRows(receipt),
    ...itemRows(receipt),
    ...(isDone ? [] : [receipt.next]),
  ].join("\n");
}

function copyRows(receipt: Receipt): readonly string[] {
  return [
    row("entries", entriesText(receipt.entries)),
    row("moved", movedText(receipt)),
    ...knownRows(receipt),
    ...excludedRows(receipt),
    ...readBackRows(receipt),
    row(
      `${receipt.pass.kind} pass`,
      `number ${receipt.pass.number}, session ${receipt.pass.session}`,
    ),
  ];
}

/** What both sides have, and how files were compared; what differs the first line says. */
function lookRows({
  mode,
  pass,
  entries,
  logicalBytes,
  knownBy,
  differences,
}: Receipt): readonly string[] {
  const { compared, assumed } = knownBy;
  const parts = [`${countText(compared)} read on both sides`];
  if (assumed > 0) parts.push(`${countText(assumed)} taken for equal by size and time`);
  const omitted = differences?.omitted ?? 0;
  return [
    row(
      mode === "dry-run" ? "dry run" : "comparison",
      `nothing was written, session ${pass.session}`,
    ),
    row("on both", `${entriesText(entries)}, ${bytesText(logicalBytes)}`),
    row("equal", `files: ${parts.join(", ")}`),
    ...(omitted > 0
      ? [row("not listed", `${countText(omitted)} differences (--list FILE has all)`)]
      : []),
  ];
}

function row(label: string, text: string): string {
  return `  ${label.padEnd(LABEL_WIDTH)}${text}`;
}

/** In the order of the receipt; those that do not occur are not shown. */
const KINDS: readonly (readonly [keyof EntryCounts, string, string])[] = [
  ["files", "file", "files"],
  ["directories", "directory", "directories"],
  ["symlinks", "symbolic link", "symbolic links"],
  ["hardLinks", "hard link", "hard links"],
  ["fifos", "FIFO", "FIFOs"],
  ["sockets", "socket", "sockets"],
  ["devices", "device", "devices"],
];

function entriesText(entries: EntryCounts): string {
  const parts = KINDS.filter(([kind]) => entries[kind] > 0);
  if (parts.length === 0) return "none";
  return parts.map(([kind, one, many]) => quantityText(entries[kind], one, many)).join(", ");
}

/** "moved of logical": less where files have holes. What the wire carried is after compression, frames included. */
function movedText(receipt: Receipt): string {
  const { logicalBytes, movedBytes, matchedBytes, wireBytes, lanes } = receipt;
  const { reconnects, resent, sessions } = receipt;
  const parts = [
    `${bytesText(movedBytes)} of ${bytesText(logicalBytes)}`,
    `${bytesText(wireBytes)} over ${quantityText(lanes, "lane")}`,
  ];
  if (matchedBytes > 0) parts.push(`${bytesText(matchedBytes)} of changed files matched`);
  if (sessions > 1) parts.push(quantityText(sessions, "session"));
  if (reconnects > 0) parts.push(quantityText(reconnects, "reconnect"));
  if (resent > 0) parts.push(`${bytesText(resent)} resent`);
  return parts.join(", ");
}

/** A start is worth its place: it is what the logs of both sides are searched for. */
function timeText({ mode, durationMs, bytesPerSecond, startedAt }: Receipt): string {
  const seconds =
    durationMs < 60_000 ? `${(durationMs / 1_000).toFixed(1)}s` : clockText(durationMs);
  const rate = isLook(mode) ? "" : `, ${bytesText(bytesPerSecond)}/s`;
  return `${seconds}${rate}, from ${startedAt}`;
}

/** Only where not every file was sent and verified. */
function knownRows({ knownBy, deleted }: Receipt): readonly string[] {
  const { compared, assumed, unverified } = knownBy;
  const sent = knownBy.streamed + knownBy.readBack;
  const removed = deleted === 0 ? [] : [row("removed", quantityText(deleted, "entry", "entries"))];
  const rows =
    unverified === 0
      ? removed
      : [
          row("unverified", `${quantityText(unverified, "file")} sent, by --verify none`),
          ...removed,
        ];
  if (compared + assumed === 0) return rows;
  const parts = unverified === 0 ? [`${quantityText(sent, "file")} sent`] : [];
  if (compared > 0) parts.push(`${countText(compared)} found equal byte by byte`);
  if (assumed > 0) parts.push(`${countText(assumed)} taken for equal by size and time`);
  return [row("equal", parts.join(", ")), ...rows];
}

/** Also when nothing was excluded: that the rules match nothing may be the mistake. */
function excludedRows({ rules, excluded: { source, target } }: Receipt): readonly string[] {
  if (rules.length === 0) return [];
  const sides = `${quantityText(source, "entry", "entries")} of the source, ${countText(target)} of the target`;
  return [row("excluded", `${sides} (${quantityText(rules.length, "rule")})`)];
}

/** Only where it was asked for. */
function readBackRows({ verify: { readBack } }: Receipt): readonly string[] {
  if (readBack === null) return [];
  const { filesystem, method, files, bytes, repaired } = readBack;
  if (method === "impossible") {
    return [row("read back", `nothing: ${filesystem} keeps its files in memory`)];
  }
  const how = method === "direct" ? "past the page cache" : "after the page cache was dropped";
  const parts = [`${quantityText(files, "file")}, ${bytesText(bytes)}, from ${filesystem} ${how}`];
  if (repaired > 0) parts.push(`${countText(repaired)} repaired`);
  return [row("read back", parts.join(", "))];
}

/** Both sides' digests only when they differ; none where the bytes of some file were not read. */
function rootRows({ mode, exitCode, roots: { source, target } }: Receipt): readonly string[] {
  // Of volumes that differ no more is known by them.
  if (isLook(mode) && (mode === "dry-run" || exitCode === 44)) return [];
  return (["content", "metadata"] as const).flatMap((kind) => {
    const [here, there] = [source[kind], target[kind]];
    if (here === null || there === null) return [];
    return here === there
      ? [row(kind, `${here} (both sides)`)]
      : [row(kind, `${here} (source)`), row("", `${there} (target)`)];
  });
}

function notPreservedRows({ notPreserved }: Receipt): readonly string[] {
  const kinds: readonly NotPreserved[] = [...notPreserved.source, ...notPreserved.target];
  return kinds.map(({ kind, count }, index) =>
    row(
      index === 0 ? "left out" : "",
      `${printableName({ path: kind, pathBytes: null })}: ${countText(count)}`,
    ),
  );
}

/** The first of the receipt's own order, so that both sides show the same ones. */
function itemRows({ items, itemsOmitted, itemCounts }: Receipt): readonly string[] {
  const { source, target } = itemCounts;
  const total = [...Object.values(source), ...Object.values(target)].reduce((a, b) => a + b, 0);
  if (total === 0) return [];
  const shown = items.slice(0, ITEMS_SHOWN);
  const hidden = items.length - shown.length + itemsOmitted;
  const more = hidden > 0 ? [row("", `and ${countText(hidden)} more (--items FILE has all)`)] : [];
  return [...shown.map((item, at) => row(at === 0 ? "items" : "", itemText(item))), ...more];
}
