/** From what was typed and what the environment says to values that nothing further down has to doubt. */

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import type { CommandName, Flag } from "./flag-row.ts";
import { environmentName, flagsOf, type FlagKey, type FlagValues } from "./flags.ts";
import type { Given } from "./value-kinds.ts";
import { refuseUnknownVariables, type Environment } from "./variables.ts";

/** One of several values, and its place among all such values that were typed. */
export interface Typed {
  readonly at: number;
  readonly text: string;
}

type Raw = string | boolean | number | readonly Typed[] | undefined;

/** As the command line's parser leaves it: text, a switch, a count of repetitions, a list; nothing when not given. */
export type RawFlags = Readonly<Record<string, Raw>>;

/** Arguments win over the environment, which wins over the fallback. An empty variable is one that is not set. */
export function resolveFlags<C extends CommandName>(
  command: C,
  raw: RawFlags,
  environment: Environment,
): FlagValues<C> {
  refuseUnknownVariables(environment);
  const values = new Map<FlagKey, unknown>();
  for (const [key, row] of flagsOf(command)) {
    values.set(key, resolveFlag(command, row, raw[key], environment[environmentName(row)]));
  }
  return Object.freeze(Object.fromEntries(values)) as FlagValues<C>;
}

function resolveFlag(
  command: CommandName,
  row: Flag<unknown>,
  typed: Raw,
  variable: string | undefined,
): unknown {
  if (row.isList === true || typeof typed === "object") {
    return resolveList(row, typed as readonly Typed[] | undefined, variable);
  }
  if (typeof typed === "boolean") return typed;
  if (typed !== undefined) return parseValue(row, `--${row.name}`, String(typed));
  if (variable !== undefined && variable !== "") {
    return parseValue(row, environmentName(row), variable);
  }
  if (row.fallback === "required") throw missing(command, row);
  return row.fallback;
}

/** A variable holds one value a line; it comes before whatever was typed of other flags. */
function resolveList(
  row: Flag<unknown>,
  typed: readonly Typed[] | undefined,
  variable = "",
): readonly Given<unknown>[] {
  const where = typed === undefined ? environmentName(row) : `--${row.name}`;
  const lines = variable.split("\n").filter((line) => line !== "");
  const values = typed ?? lines.map((text) => ({ at: -1, text }));
  return values.map(({ at, text }) => ({ at, where, value: parseValue(row, where, text) }));
}

function parseValue(row: Flag<unknown>, where: string, text: string): unknown {
  const value = row.kind.parse(text);
  if (value !== undefined) return value;
  throw new PvferryError({
    code: 2,
    message: `${where}: ${row.isSecret === true ? "the value" : `"${escapeText(text)}"`} is not ${row.kind.expects}.`,
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
