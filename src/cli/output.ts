/**
 * The only place that writes to stdout and stderr besides progress. stdout has results: lines, or with --json exactly
 * one document. stderr has words for people.
 */

import process from "node:process";

import { errorDocument, type PvferryError } from "../core/errors.ts";
import type { ExitCode } from "../core/exit-codes.ts";
import { redacted } from "../core/secrets.ts";
import { errorDetails } from "./error-details.ts";

/** What a command ends with when it ends properly. */
export interface Outcome {
  readonly code: ExitCode;
  /** For --json; null when the command has written its document itself. */
  readonly document: object | null;
  /** For stdout without --json. */
  readonly lines: readonly string[];
  /** For people; with -q only when `code` is not 0, and then only `brief`. */
  readonly words: string | null;
  readonly brief: string | null;
}

/** `verbose`: 0, 1 (items, the host) or 2 (stack traces too). */
export interface OutputStyle {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: number;
}

/** A reader that has gone away (`| head`) is no failure of ours; streams tell it with every write. */
export function tolerateClosedStreams(): void {
  process.stdout.on("error", () => undefined);
  process.stderr.on("error", () => undefined);
}

export function printOutcome(outcome: Outcome, style: OutputStyle): void {
  if (style.json) {
    if (outcome.document !== null) say(process.stdout, JSON.stringify(outcome.document));
  } else {
    for (const line of outcome.lines) say(process.stdout, line);
  }
  const words = style.quiet ? quietWords(outcome) : outcome.words;
  if (words !== null) say(process.stderr, words);
}

function quietWords({ code, brief }: Outcome): string | null {
  return code === 0 ? null : brief;
}

/** The outcome of a command, or of a part of one, that has thrown. */
export function errorOutcome(error: PvferryError, verbose: number): Outcome {
  const brief = `pvferry: ${error.message}\n${error.next}`;
  const words = verbose >= 2 ? `${brief}\n${errorDetails(error)}` : brief;
  return { code: error.code, document: errorDocument(error), lines: [], words, brief };
}

function say(stream: NodeJS.WriteStream, text: string): void {
  stream.write(`${redacted(text)}\n`);
}
