/** From the arguments to a command, and from what commander throws to an exit code of ours. */

import process from "node:process";

import { CommanderError } from "commander";

import { PvferryError, toPvferryError } from "../core/errors.ts";
import { packageVersion } from "../native/addon.ts";
import { tolerateClosedStreams } from "./output.ts";
import { buildProgram } from "./program.ts";
import { endWithError, outputStyle } from "./run-command.ts";

/** Does what the arguments say; leaves the exit code in process.exitCode. */
export async function runCommandLine(argv: readonly string[]): Promise<void> {
  // First of all: help goes through a pipe as well.
  tolerateClosedStreams();
  try {
    await buildProgram(packageVersion()).parseAsync(argv);
  } catch (thrown) {
    // The flags are not parsed: --json is looked for as it was typed, since a mistake beside it has to be JSON too.
    const style = outputStyle({ json: argv.includes("--json") || undefined }, process.env);
    const error = thrown instanceof CommanderError ? usageError(thrown) : toPvferryError(thrown);
    if (error !== null) endWithError(error, style);
  }
}

/** null when commander has done what was asked for: help or the version. */
function usageError(error: CommanderError): PvferryError | null {
  if (error.exitCode === 0) return null;
  if (error.code === "commander.help") {
    process.exitCode = 2;
    return null;
  }
  return new PvferryError({
    code: 2,
    message: error.message.replace(/^error: /, "").replaceAll("\n", " "),
    next: "pvferry --help lists the commands, pvferry COMMAND --help what each of them takes.",
  });
}
