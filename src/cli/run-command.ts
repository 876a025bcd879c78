/** What every command goes through: flags, interrupts, printing, exit code. */

import process from "node:process";

import type { CommandName } from "../config/flag-row.ts";
import { environmentName, FLAGS, type FlagValues } from "../config/flags.ts";
import { resolveFlags, type RawFlags } from "../config/resolve.ts";
import { SWITCH } from "../config/value-kinds.ts";
import type { Environment } from "../config/variables.ts";
import { toPvferryError, type PvferryError } from "../core/errors.ts";
import { watchInterrupts } from "./interrupts.ts";
import { errorOutcome, printOutcome, type Outcome, type OutputStyle } from "./output.ts";

export interface CommandContext<C extends CommandName> {
  readonly flags: FlagValues<C>;
  readonly args: readonly string[];
  readonly signal: AbortSignal;
  readonly environment: Environment;
}

export type Command<C extends CommandName> = (context: CommandContext<C>) => Promise<Outcome>;

/**
 * A process that has said its last word and still does not end has leaked something, or works on what cannot be stopped;
 * it ends then all the same. Connections get their second to say goodbye.
 */
const LINGER_MS = 1_100;

/**
 * Never rejects: whatever is thrown has been printed, and its code is in process.exitCode. The flags are resolved before
 * the command is loaded, so that a typing mistake is answered at once.
 */
export async function runCommand<C extends CommandName>(
  name: C,
  load: () => Promise<Command<C>>,
  raw: RawFlags,
  args: readonly string[],
): Promise<void> {
  const { env: environment } = process;
  const style = outputStyle(raw, environment);
  const fail = (error: PvferryError): void => endWithError(error, style);
  const now = (error: PvferryError): never => {
    fail(error);
    process.exit();
  };
  process.on("uncaughtException", (thrown: unknown) => now(toPvferryError(thrown)));
  const { signal, ended } = watchInterrupts(now);
  try {
    const flags = resolveFlags(name, raw, environment);
    const command = await load();
    const outcome = await command({ flags, args, signal, environment });
    printOutcome(outcome, style);
    process.exitCode = outcome.code;
  } catch (thrown) {
    fail(toPvferryError(thrown));
  }
  ended();
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/** Does not end the process by itself: what is still being written to a pipe gets there. */
export function endWithError(error: PvferryError, style: OutputStyle): void {
  printOutcome(errorOutcome(error, style.verbose), style);
  process.exitCode = error.code;
}

/** Known before the flags are resolved, since resolving them may fail and that has to be said in the right form. */
export function outputStyle(raw: RawFlags, environment: Environment): OutputStyle {
  const { json, quiet, verbose } = FLAGS;
  const isOn = (row: typeof json): boolean => {
    const typed = raw[row.name];
    if (typeof typed === "boolean") return typed;
    return SWITCH.parse(environment[environmentName(row)] ?? "") ?? false;
  };
  const times = raw[verbose.name] ?? environment[environmentName(verbose)] ?? 0;
  return { json: isOn(json), quiet: isOn(quiet), verbose: Number(times) || 0 };
}
