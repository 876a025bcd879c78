/** What the value of a flag may look like: one parser per kind, and the words to say so when it does not. */

import { bytesText, durationText, parseDurationMs } from "../core/units.ts";
import type { MaxDelete } from "../native/types.ts";

export interface ValueKind<T> {
  /** Completes "... is not": "a whole number from 1 to 64". */
  readonly expects: string;
  readonly example: string;
  /** undefined when the text is not of this kind. */
  readonly parse: (text: string) => T | undefined;
}

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

export const SWITCH: ValueKind<boolean> = {
  expects: "true or false",
  example: "true",
  parse: (text) => {
    const word = text.toLowerCase();
    if (["1", "true", "yes", "on"].includes(word)) return true;
    return ["0", "false", "no", "off"].includes(word) ? false : undefined;
  },
};

export const PATH: ValueKind<string> = {
  expects: "a path",
  example: "./receipt.json",
  parse: (text) => (text === "" || text.includes("\0") ? undefined : text),
};

export function integer(least: number, most: number, example: number): ValueKind<number> {
  return {
    expects: `a whole number from ${least} to ${most}`,
    example: `${example}`,
    parse: (text) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return value >= least && value <= most ? value : undefined;
    },
  };
}

export function choice<const Word extends string>(...words: readonly Word[]): ValueKind<Word> {
  return {
    expects: `one of ${words.join(", ")}`,
    example: words[0] ?? "",
    parse: (text) => words.find((word) => word === text),
  };
}

export function duration(leastMs: number, mostMs: number, exampleMs: number): ValueKind<number> {
  return {
    expects: `a duration from ${durationText(leastMs)} to ${durationText(mostMs)}`,
    example: durationText(exampleMs),
    parse: (text) => {
      // Nothing is nothing in every unit.
      const ms = text === "0" ? 0 : parseDurationMs(text);
      return ms !== null && ms >= leastMs && ms <= mostMs ? ms : undefined;
    },
  };
}

const RATE_UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["Ki", 2 ** 10],
  ["Mi", 2 ** 20],
  ["Gi", 2 ** 30],
]);

/** Bytes per second: a number with a decimal or binary unit. */
export function rate(least: number, most: number): ValueKind<number> {
  return {
    expects: `a rate in bytes a second from ${bytesText(least)} to ${bytesText(most)}, with k, M, G, Ki, Mi or Gi as its unit`,
    example: "12.5M",
    parse: (text) => {
      const [, digits = "", unit = ""] =
        /^(\d{1,12}(?:\.\d{1,3})?)([kMG]?|[KMG]i)$/.exec(text) ?? [];
      const value = Math.round(Number(digits) * (RATE_UNITS.get(unit) ?? Number.NaN));
      return digits !== "" && value >= least && value <= most ? value : undefined;
    },
  };
}

/** "100": so many entries. "5%", "0.25%": a share of all. */
export const DELETE_LIMIT: ValueKind<MaxDelete> = {
  expects: "a whole number of entries, or a percentage from 0% to 100% with at most two decimals",
  example: "5%",
  parse: (text) => {
    if (/^\d{1,15}$/.test(text)) return { entries: Number(text), percent: null };
    const percent = /^\d{1,3}(?:\.\d{1,2})?%$/.test(text) ? Number(text.slice(0, -1)) : Number.NaN;
    return percent <= 100 ? { entries: null, percent } : undefined;
  },
};

/** A value that was given, and where: what may be given several times is told apart by it. */
export interface Given<V> {
  readonly value: V;
  /** "--exclude", or the variable's name. */
  readonly where: string;
  /** Its place among all that was typed; before all of that where a variable says it. */
  readonly at: number;
}

/** A line of a gitignore file that is neither a comment nor an exception. */
export const PATTERN: ValueKind<string> = {
  expects: "a pattern of one line, whose first character may be # or ! only with a \\ before it",
  example: "'*.tmp'",
  parse: (text) => (/^[^#!\n][^\n]*$/.test(text) ? text : undefined),
};

/** Text of one line without surprises: it is sent to the peer and printed there. */
export function label(mostBytes: number): ValueKind<string> {
  return {
    expects: `1 to ${mostBytes} letters, digits, dots, underscores, slashes or dashes`,
    example: "data",
    parse: (text) => (/^[\w./-]+$/.test(text) && text.length <= mostBytes ? text : undefined),
  };
}

/** A volume by its name and, where this side has it, its folder. */
export interface NamedVolume {
  readonly name: string;
  readonly folder: string | null;
}

/** "mail", "mail=/volumes/mail". */
export function namedVolume(mostBytes: number): ValueKind<NamedVolume> {
  const name = label(mostBytes);
  return {
    expects: `a volume's name, of ${name.expects}, or that, = and a folder`,
    example: "mail=/volumes/mail",
    parse: (text) => {
      const [, named = "", folder] = /^([^=]*)(?:=(.+))?$/s.exec(text) ?? [];
      const known = name.parse(named);
      if (known === undefined || (folder !== undefined && PATH.parse(folder) === undefined)) {
        return undefined;
      }
      return { name: known, folder: folder ?? null };
    },
  };
}

/** "target.example:6443", "10.0.0.7:6443", "[2001:db8::7]:6443". */
export function parseHostPort(text: string): HostPort | undefined {
  const { host, port } = splitHostPort(text);
  return host === null || port === null || port === 0 ? undefined : { host, port };
}

/** "6443", ":6443", "127.0.0.1:0", "[::1]:6443"; without a host the given one. */
export function listenAddress(anyHost: string, defaultPort: number): ValueKind<HostPort> {
  return {
    expects: "[HOST:]PORT (an IPv6 address goes in brackets, port 0 lets the kernel choose)",
    example: `${defaultPort}`,
    parse: (text) => {
      const { host, port } = splitHostPort(/^\d+$/.test(text) ? `:${text}` : text);
      if (port === null) return undefined;
      if (host === null) return text.startsWith("[") ? undefined : { host: anyHost, port };
      return { host, port };
    },
  };
}

interface LooseHostPort {
  readonly host: string | null;
  readonly port: number | null;
}

function splitHostPort(text: string): LooseHostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([\w.-]*)):(\d{1,5})$/.exec(text);
  if (match === null) return { host: null, port: null };
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  const host = bracketed ?? plain ?? "";
  return { host: host === "" ? null : host, port: port <= 65_535 ? port : null };
}

export function hostPortText({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
