/** Numbers as people read and write them. */

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

/** "30s", "10m", "1h30m", "250ms"; null when it is none of these. A bare number has no unit, so it is none either. */
export function parseDurationMs(text: string): number | null {
  if (!/^(?:\d+(?:ms|s|m|h))+$/.test(text)) return null;
  let total = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)(ms|s|m|h)/g)) {
    total += Number(digits) * (DURATION_UNITS.get(unit ?? "") ?? Number.NaN);
  }
  return Number.isSafeInteger(total) ? total : null;
}

/** The shortest text that parseDurationMs reads back: 600000 is "10m". */
export function durationText(ms: number): string {
  for (const [unit, size] of [...DURATION_UNITS].toReversed()) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** A duration as a clock shows it: "4s", "3:07", "1:02:09". */
export function clockText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) return `${seconds}s`;
  const parts = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (parts[0] === 0) parts.shift();
  return parts
    .map((part, index) => (index === 0 ? `${part}` : `${part}`.padStart(2, "0")))
    .join(":");
}

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"] as const;

/** Decimal units, as storage and networks are sold: "460 MB", "1.25 GB". */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1_000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${BYTE_UNITS[unit] ?? "B"}`;
}

/** "12,345": grouped with commas, whatever the locale. */
export function countText(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}

/** "1 file", "2 files", "1 directory", "2 directories". */
export function quantityText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}
