/**
 * What an agent is given to keep to itself, found by itself in all that it is started with, and looked for in all that it and
 * the others of the same tests let out: passwords of proxies and private keys, in every form in which they travel.
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { FLAGS } from "../../src/config/flags.ts";

export interface Started {
  readonly line: readonly string[];
  readonly environment: { readonly [name: string]: string };
}

export interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** Shorter ones are in every text. */
const SHORTEST = 4;
const KEY_LINE = /^[\w+/]{32,}$/;
/** Files that are read. What any other flag names is written, as long as nobody says otherwise. */
const READ = ["to-file", "via-file", "via-ca", "ssh-key", "ssh-known-hosts", "filter-from"];
const WRITTEN = Object.values(FLAGS)
  .filter(({ value, name }) => value === "FILE" && !READ.includes(name))
  .map(({ name }) => name);

/** Of all agents that this process has started: one's secret is to be kept by the others as well. */
const known = new Set<string>();

function remember(...forms: readonly string[]): void {
  for (const form of forms.filter(({ length }) => length >= SHORTEST)) known.add(form);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function rememberUrl(text: string): void {
  const [, user = "", password = ""] =
    /^(?:\w+:\/\/)?([^:/@]+):(.+)@[^@]+$/.exec(text.trim()) ?? [];
  const plain = decoded(password);
  const pair = Buffer.from(`${decoded(user)}:${plain}`).toString("base64");
  const forms = [plain, encodeURIComponent(plain), JSON.stringify(plain).slice(1, -1), pair];
  remember(password, ...(password === "" ? [] : forms));
}

/** null for what is not there (yet, or any longer), and for what is no file: a device may have no end. */
function read(file: string): string | null {
  try {
    return statSync(file).isFile() ? readFileSync(file, "utf8") : null;
  } catch {
    return null;
  }
}

/** A key's beginning says only of what kind it is. */
function rememberKey(file: string): void {
  const lines = (read(file) ?? "").split("\n").filter((line) => KEY_LINE.test(line));
  remember(...lines.slice(2, 6));
}

/** Of one side, and of a whole PKI. */
const KEYS = ["tls.key", ...["source", "target", "ca"].map((part) => `${part}/tls.key`)];

/** What a flag was given, in the command line or by its variable. */
function valuesOf(name: string, { line, environment }: Started): readonly string[] {
  const long = `--${name}`;
  const inLine = line.flatMap((word, at) => {
    if (word.startsWith(`${long}=`)) return [word.slice(long.length + 1)];
    return word === long ? line.slice(at + 1, at + 2) : [];
  });
  const variable = environment[`PVFERRY_${name.replaceAll("-", "_").toUpperCase()}`];
  return variable === undefined ? inLine : [...inLine, ...variable.split("\n")];
}

function remind(started: Started): void {
  const { line, environment } = started;
  const words = line.map((word) => word.replace(/^--[\w-]+=/, ""));
  words.filter((word) => word.includes("://")).forEach(rememberUrl);
  Object.values(environment)
    .flatMap((value) => value.split("\n"))
    .forEach(rememberUrl);
  const lists = valuesOf("via-file", started).map((file) => read(file) ?? "");
  lists.flatMap((list) => list.split("\n")).forEach(rememberUrl);
  valuesOf("ssh-key", started).forEach(rememberKey);
  const folders = [...valuesOf("tls", started), ...valuesOf("out", started)];
  folders.flatMap((folder) => KEYS.map((name) => join(folder, name))).forEach(rememberKey);
}

/** To be called when an agent is started; what it returns, when it has ended: throws when it has let out a secret. */
export function watchSecrets(started: Started): (said: Said) => void {
  remind(started);
  return ({ stdout, stderr }) => {
    // It may have made some, and others may have started since.
    remind(started);
    const files = WRITTEN.flatMap((name) => valuesOf(name, started));
    const texts = {
      stdout,
      stderr,
      ...Object.fromEntries(files.map((file) => [file, read(file) ?? ""])),
    };
    for (const [where, text] of Object.entries(texts)) {
      const leaked = [...known].filter((secret) => text.includes(secret));
      if (leaked.length === 0) continue;
      throw new Error(
        `${where} of ${started.line.join(" ")} has secrets: ${leaked.join(", ")}\n${text}`,
      );
    }
  };
}
