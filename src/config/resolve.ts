/** From what was typed and what the environment says to values that nothing further down has to doubt. */

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import {
  environmentName,
  flagsOf,
  type CommandName,
  type Flag,
  type FlagKey,
  type FlagValues,
} from "./flags.ts";

/** As the command line's parser leaves it: text, a switch, a count of repetitions; nothing when not given. */
export type RawFlags = Readonly<Record<string, string | boolean | number | undefined>>;
export type Environment = Readonly<Record<string, string | undefined>>;

/** Arguments win over the environment, which wins over the fallback. An empty variable is one that is not set. */
export function resolveFlags<C extends CommandName>(
  command: C,
  raw: RawFlags,
  environment: Environment,
): FlagValues<C> {
  const values = new Map<FlagKey, unknown>();
  for (const [key, row] of flagsOf(command)) {
    values.set(key, resolveFlag(command, row, raw[key], environment[environmentName(row)]));
  }
  return Object.freeze(Object.fromEntries(values)) as FlagValues<C>;
}

function resolveFlag(
  command: CommandName,
  row: Flag<unknown>,
  typed: string | boolean | number | undefined,
  variable: string | undefined,
): unknown {
  if (typeof typed === "boolean") return typed;
  if (typed !== undefined) return parseValue(row, `--${row.name}`, String(typed));
  if (variable !== undefined && variable !== "") {
    return parseValue(row, environmentName(row), variable);
  }
  if (row.fallback === "required") throw missing(command, row);
  return row.fallback;
}

function parseValue(row: Flag<unknown>, where: string, text: string): unknown {
  const value = row.kind.parse(text);
  if (value !== undefined) return value;
  throw new PvferryError({
    code: 2,
    message: `${where}: "${escapeText(text)}" is not ${row.kind.expects}.`,
    next: `Give it a value such as ${row.kind.example}.`,
  });
}

function missing(command: CommandName, row: Flag<unknown>): PvferryError {
  return new PvferryError({
    code: 2,
    message: `pvferry ${command} needs --${row.name} ${row.value ?? ""}: ${row.help}.`,
    next: `Add --${row.name} ${row.value ?? ""}, or set ${environmentName(row)}; pvferry ${command} --help shows an example.`,
  });
}
