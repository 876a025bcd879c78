/** Rules that exclude, from the flags and the files that they name. Failures are 2, and say where the rule stands. */

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";

import { LIMITS } from "../config/limits.ts";
import type { Given } from "../config/value-kinds.ts";
import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { bytesText, countText } from "../core/units.ts";
import { loadAddon } from "../native/addon.ts";

export interface RuleFlags {
  readonly exclude: readonly Given<string>[];
  readonly include: readonly Given<string>[];
  readonly filterFrom: readonly Given<string>[];
}

interface Rule {
  /** A line of a gitignore file. */
  readonly line: string;
  readonly where: string;
}

/**
 * The rules in the order in which they were typed. What variables say comes first: files, then what is excluded, then
 * what is included.
 */
export function readRules(flags: RuleFlags): readonly string[] {
  const given = [
    ...flags.filterFrom.map((file) => ({ at: file.at, rules: fileRules(file) })),
    ...flags.exclude.map((rule) => ({ at: rule.at, rules: [asRule(rule, "")] })),
    ...flags.include.map((rule) => ({ at: rule.at, rules: [asRule(rule, "!")] })),
  ];
  const rules = given.toSorted((a, b) => a.at - b.at).flatMap((part) => part.rules);
  const lines = rules.map(({ line }) => line);
  checkSize(lines);
  const bad = lines.length === 0 ? null : loadAddon().badRule(lines);
  if (bad === null) return lines;
  const { line = "", where = "" } = rules[bad.rule] ?? {};
  throw new PvferryError({
    code: 2,
    message: `${where}: the pattern "${escapeText(line)}" ${bad.why}.`,
    next: "Correct the pattern; docs/filters.md shows what patterns are made of.",
  });
}

function asRule({ value, where }: Given<string>, mark: string): Rule {
  return { line: `${mark}${value}`, where };
}

/** Comments and empty lines aside, as git takes them. */
function fileRules({ value: file, where }: Given<string>): readonly Rule[] {
  const name = `${where} ${escapeText(file)}`;
  return readText(file, name)
    .split("\n")
    .map((line, index) => ({ line: line.replace(/\r$/, ""), where: `${name}, line ${index + 1}` }))
    .filter(({ line }) => !line.startsWith("#") && line.replace(/ +$/, "") !== "");
}

function readText(file: string, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (cause) {
    const reason = cause instanceof TypeError ? "it is not UTF-8" : reasonOf(cause);
    throw new PvferryError({
      code: 2,
      message: `${name} cannot be read: ${reason}.`,
      next: "Name a file that can be read, with one pattern of UTF-8 text a line.",
      cause,
    });
  }
}

function reasonOf(cause: unknown): string {
  const code: unknown = Reflect.get(Object(cause), "code");
  return typeof code === "string" ? code : String(cause);
}

function checkSize(lines: readonly string[]): void {
  const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
  if (lines.length <= LIMITS.rulesMost && bytes <= LIMITS.rulesBytes) return;
  throw new PvferryError({
    code: 2,
    message: `There are ${countText(lines.length)} filter rules of ${bytesText(bytes)}; at most ${countText(LIMITS.rulesMost)} of ${bytesText(LIMITS.rulesBytes)} together are taken.`,
    next: "Say the same with fewer patterns: one for a folder stands for all that is in it.",
  });
}
