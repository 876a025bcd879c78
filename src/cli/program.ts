/** commander's view of the two tables: commands and flags. It only splits arguments; values are resolved later. */

import process from "node:process";

import { Command, Option } from "commander";

import { COMMANDS, type CommandName, type Flag } from "../config/flag-row.ts";
import { environmentName, flagsOf } from "../config/flags.ts";
import type { RawFlags, Typed } from "../config/resolve.ts";
import { EXIT_CODES } from "../core/exit-codes.ts";
import { COMMAND_ROWS, type CommandRow } from "./commands.ts";
import { runCommand } from "./run-command.ts";

/** A new one for each call: commander keeps what it has parsed. Throws CommanderError instead of ending the process. */
export function buildProgram(version: string): Command {
  const program = styled(new Command("pvferry"))
    .description(
      "Moves the contents of a volume: verified, over mutual TLS 1.3, nothing lost silently.",
    )
    .version(version, "--version", "print the version")
    .addHelpText("after", `${examplesHelp(FIRST_EXAMPLES)}\n\n${exitCodesHelp()}`);
  const groups = new Map<string, Command>();
  for (const row of COMMAND_ROWS) {
    // "pki init" is a command within a group; all others have one word.
    const [first = "", second] = row.name.split(" ");
    const parent = second === undefined ? program : pkiGroup(program, groups, first);
    addCommand(parent, second ?? first, row as unknown as CommandRow<CommandName>);
  }
  return program;
}

/** One of each step; every command's own help has more. */
const FIRST_EXAMPLES = COMMAND_ROWS.flatMap(({ examples }) => examples.slice(0, 1));

function pkiGroup(program: Command, groups: Map<string, Command>, name: string): Command {
  const known = groups.get(name);
  if (known !== undefined) return known;
  const group = styled(program.command(name)).description(
    "make and renew a transfer's certificates",
  );
  groups.set(name, group);
  return group;
}

function addCommand(parent: Command, word: string, row: CommandRow<CommandName>): void {
  const command = styled(parent.command(word))
    .summary(row.summary)
    .description(row.details)
    .addHelpText("after", examplesHelp(row.examples));
  for (const { name, help, isOptional } of row.arguments) {
    command.argument(isOptional === true ? `[${name}]` : `<${name}>`, help);
  }
  for (const [key, flag] of flagsOf(row.name)) {
    for (const option of optionsFor(key, flag)) command.addOption(option);
    if (flag.alias !== undefined) addAlias(command, key, flag.alias);
  }
  command.action(async () => {
    await runCommand(row.name, row.load, command.opts<RawFlags>(), command.args);
  });
}

/** Not in the list of options: the help of the flag itself names it. */
function addAlias(command: Command, key: string, alias: string): void {
  const option = new Option(`--${alias} <VALUE>`).hideHelp();
  command.addOption(option);
  command.on(`option:${alias}`, (value: string) => command.setOptionValue(key, value));
}

/** Errors are thrown, and told by main in pvferry's own form. */
function styled(command: Command): Command {
  return command
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 100) })
    .helpCommand(false);
}

/** commander stores a value under the name in camel case, which is the key in the table. */
function optionsFor(key: string, flag: Flag<unknown>): readonly Option[] {
  const long = flag.value === null ? `--${flag.name}` : `--${flag.name} <${flag.value}>`;
  const option = new Option(
    flag.short === undefined ? long : `-${flag.short}, ${long}`,
    helpOf(flag),
  );
  if (isForEvery(flag)) option.helpGroup("Options of every command:");
  if (flag.isList === true) {
    option.argParser((text, before: readonly Typed[] | undefined) => [
      ...(before ?? []),
      { at: typed++, text },
    ]);
  }
  if (key === "verbose") option.argParser((_, times: number | undefined) => (times ?? 0) + 1);
  if (flag.value !== null || flag.fallback !== true) return [option];
  return [option, new Option(`--no-${flag.name}`, "the opposite")];
}

/** How many values of lists were typed so far: their order counts across flags. */
let typed = 0;

function isForEvery(flag: Flag<unknown>): boolean {
  return flag.commands.length === COMMANDS.length;
}

function helpOf(flag: Flag<unknown>): string {
  const notes = [
    ...(flag.alias === undefined ? [] : [`also --${flag.alias}`]),
    ...(flag.fallback === "required" ? ["required"] : []),
    ...(flag.fallbackText === "" ? [] : [`default: ${flag.fallbackText}`]),
    environmentName(flag),
  ];
  return `${flag.help} (${notes.join("; ")})`;
}

function examplesHelp(examples: readonly string[]): string {
  return ["", "Examples:", ...examples.map((example) => `  ${example}`)].join("\n");
}

/** Without the advice on trying again, which docs/exit-codes.md has: help is for looking up a number. */
function exitCodesHelp(): string {
  const rows = EXIT_CODES.map(({ code, meaning }) => `  ${`${code}`.padStart(3)}  ${meaning}`);
  return ["Exit codes:", ...rows].join("\n");
}
