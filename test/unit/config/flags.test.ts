import { expect, test } from "vitest";

import { COMMANDS, type Flag } from "../../../src/config/flag-row.ts";
import { environmentName, FLAGS, flagsOf } from "../../../src/config/flags.ts";

const ROWS: readonly Flag<unknown>[] = Object.values(FLAGS);

test("names are unique, in kebab case, and none that Kubernetes sets for a Service", () => {
  const names = ROWS.flatMap(({ name, alias }) => (alias === undefined ? [name] : [name, alias]));
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) {
    expect(name).toMatch(/^[a-z]+(-[a-z]+)*$/);
    expect(name).not.toMatch(/(^|-)(port|service)/);
  }
});

test("the key is the name in camel case, under which the parser stores it", () => {
  for (const [key, row] of Object.entries(FLAGS)) {
    expect(row.name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())).toBe(key);
  }
});

test("fallbacks are of their own kind", () => {
  for (const { kind, fallback, value } of ROWS) {
    if (value !== null && (typeof fallback === "string" || typeof fallback === "number")) {
      if (fallback !== "required" && !kind.expects.includes("duration")) {
        expect(kind.parse(`${fallback}`)).toBe(fallback);
      }
    }
  }
});

test("docs/flags.md is this table", async () => {
  await expect(page()).toMatchFileSnapshot("../../../docs/flags.md");
});

function page(): string {
  return `# Flags

Each flag is also an environment variable, named here; the argument wins over the variable, and an empty variable is one
that is not set. Switches take \`true\` or \`false\` as a variable, durations look like \`30s\`, \`10m\` or \`1h30m\`, and
\`PVFERRY_VERBOSE\` is a number. What may be given several times is one value a line in a variable. Besides, \`PVFERRY_ADDON\` names the native addon when it is not in its usual place.

A variable that begins with \`PVFERRY_\` and is none of these is refused with exit code 2, as an unknown flag is, and the
nearest name is told. Those of pvferry's other commands may be set all the same. So may \`PVFERRY_TEST_...\`, and what
Kubernetes sets in pods beside a Service whose name is pvferry or begins with pvferry-: \`PVFERRY_SERVICE_HOST\`,
\`PVFERRY_PORT_6443_TCP_ADDR\`, \`PVFERRY_TARGET_SERVICE_PORT\` and their like.

${COMMANDS.filter((command) => ownRows(command).length > 0)
  .map((command) => section(`pvferry ${command}`, ownRows(command)))
  .join("\n")}
${section(
  "Every command",
  ROWS.filter((row) => isForEvery(row)),
)}
\`pvferry --version\` prints the version, \`--help\` after any command what it takes, with examples.
${NOTES}`;
}

const NOTES = `
## What scripts may rely on

- A target says \`Listening on HOST:PORT\` on a line of its own on stderr when it is ready; with \`--listen 127.0.0.1:0\`
  that is how to learn the port. \`-q\` silences it.
- \`--ready-file FILE\` is there as long as a side listens, whole from the beginning: \`{"endpoint", "via", "host", "port",
  "addresses"}\`, one line. \`endpoint\` is what the other side may give to \`--to\` where nothing translates addresses in between,
  and \`via\` what it needs besides; \`host\` and \`port\` are what it listens on. Its \`--to-file\` reads such a file, too.
- stdout holds results and nothing else: with \`--json\` one JSON document, the receipt or \`{"error": {"code", "name",
  "message", "next"}}\`. A target whose copy was finished before it was started, and that no source came to, prints
  \`{"exitCode", "exitName", "message", "next", "transfer", "volume", "pass": {"kind", "number"}, "endedAt",
  "receiptDigest"}\`, without the receipt's \`receipt\`, and writes no \`--receipt FILE\`.
- \`--receipt FILE\` is written in one step at the end. An older file of that name is removed at the start, so that a
  receipt is always that of the last run. Devices and links, such as \`/dev/stdout\`, are written through.
- \`--items FILE\` holds all items of both sides, those of the last session.
- \`--dry-run\` and \`--mode verify\` print differences on stdout, one a line: eleven letters, a space, the name, escaped
  where it holds what no terminal should get. With \`--json\` they are in the receipt, and \`--list FILE\` holds all of them.
- \`pvferry digest --files\` prints what \`b3sum --check\` accepts. It fails on lines that it does not know, comments
  included; so files in block form (more than 1 GiB of holes) and names that b3sum cannot check (no UTF-8, or U+FFFD in
  them) are listed on stderr instead, as are the root digests.

## Keys

A key file that its group or others have any right to is refused. Mounts made by the kubelet are excepted, because only
the pod sees them and an agent with an arbitrary user id could not read them otherwise: a read-only mount that is a
tmpfs, or that has the kubelet's \`..data\` link beside the file.

\`pvferry copy\` keeps one PKI for its two agents, which speak over 127.0.0.1 only, in \`$XDG_CACHE_HOME/pvferry\` or
\`~/.cache/pvferry\`, for its owner alone. It may be deleted at any time. Where it cannot be kept, every copy makes its own.
`;

function ownRows(command: (typeof COMMANDS)[number]): readonly Flag<unknown>[] {
  return flagsOf(command)
    .map(([, row]) => row)
    .filter((row) => !isForEvery(row));
}

function isForEvery(row: Flag<unknown>): boolean {
  return row.commands.length === COMMANDS.length;
}

function section(title: string, rows: readonly Flag<unknown>[]): string {
  const lines = rows.map(
    (row) => `| ${spelled(row)} | \`${environmentName(row)}\` | ${row.help} | ${fallbackOf(row)} |`,
  );
  return `## ${title}\n\n| flag | variable | meaning | default |\n|---|---|---|---|\n${lines.join("\n")}\n`;
}

function spelled({ name, short, alias, value, fallback }: Flag<unknown>): string {
  const forms = [
    ...(short === undefined ? [] : [`-${short}`]),
    ...(alias === undefined ? [] : [`--${alias}`]),
    value === null ? `--${name}` : `--${name} ${value}`,
    ...(value === null && fallback === true ? [`--no-${name}`] : []),
  ];
  // Within a table a bar ends the cell, also in code.
  return forms.map((form) => `\`${form.replaceAll("|", "\\|")}\``).join(", ");
}

function fallbackOf(row: Flag<unknown>): string {
  if (row.fallback === "required") return "required";
  return row.fallbackText === "" ? (row.value === null ? "off" : "none") : row.fallbackText;
}
