/** Every command line that the documents and the help show is one that pvferry takes. */
import { readdirSync, readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { COMMAND_ROWS } from "../../../src/cli/commands.ts";
import { buildProgram } from "../../../src/cli/program.ts";
import { COMMANDS, type CommandName } from "../../../src/config/flag-row.ts";
import { resolveFlags, type RawFlags } from "../../../src/config/resolve.ts";

const docs = new URL("../../../docs/", import.meta.url);
const documents = [
  new URL("../../../README.md", import.meta.url),
  ...readdirSync(docs)
    .filter((name) => name.endsWith(".md"))
    .map((name) => new URL(name, docs)),
];

/** Without what a shell does behind it. */
function commandLines(code: string): readonly string[] {
  return [...code.matchAll(/^ *(pvferry [^\n|>&;#]+)/gm)].map(([, line = ""]) => line.trim());
}

/** Indented code, and the fenced blocks of a shell. */
function codeOf(markdown: string): string {
  const indented = markdown.split("\n").filter((line) => line.startsWith("    "));
  const fenced = [...markdown.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = ""]) => block);
  return [...indented, ...fenced].join("\n");
}

function words(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? "",
  );
}

const shown = [
  ...documents.flatMap((document) =>
    commandLines(codeOf(readFileSync(document, "utf8"))).map((line) => ({
      where: document.pathname.split("/").at(-1) ?? "",
      line,
    })),
  ),
  ...COMMAND_ROWS.flatMap(({ name, examples }) =>
    examples
      .flatMap((example) => commandLines(example))
      .map((line) => ({ where: `pvferry ${name} --help`, line })),
  ),
].filter(({ line }) => !/^pvferry (?:--?\w|COMMAND)/.test(line));

/** What the command would be given. */
async function taken(line: string): Promise<{ name: CommandName; raw: RawFlags }> {
  const program = buildProgram("0.0.0");
  let found: { name: CommandName; raw: RawFlags } | null = null;
  for (const name of COMMANDS) {
    const [first = "", second] = name.split(" ");
    const group = program.commands.find((one) => one.name() === first);
    const command =
      second === undefined ? group : group?.commands.find((one) => one.name() === second);
    command?.action(() => {
      found = { name, raw: command.opts() };
    });
  }
  await program.parseAsync(words(line).slice(1), { from: "user" });
  if (found === null) throw new Error(`no command took ${line}`);
  return found;
}

describe("a command line in the documents", () => {
  it("is found where there are some", () => {
    const found = new Set(shown.map(({ where }) => where));
    expect([...found]).toEqual(
      expect.arrayContaining(["README.md", "operating.md", "reaching.md"]),
    );
    expect(shown.length).toBeGreaterThan(20);
  });

  it.each(shown)("$where: $line", async ({ line }) => {
    const { name, raw } = await taken(line);
    expect(() => resolveFlags(name, raw, { PVFERRY_TLS: "pki" })).not.toThrow();
  });
});
