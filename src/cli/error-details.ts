/**
 * An error for whoever looks for its cause: where it was made, and the plain facts of it and of all that it came from. What
 * libraries hang on theirs besides (sockets, options, packets) says nothing to anybody, and may say too much.
 */

import { inspect } from "node:util";

import { harmlessText } from "../core/names.ts";

const CAUSES_MOST = 8;
const TEXT_MOST = 400;
/** In the stack already, or printed before it. */
const SAID = new Set(["message", "stack", "name", "next"]);

export function errorDetails(error: unknown): string {
  return details(error, CAUSES_MOST).join("\n");
}

function details(thrown: unknown, left: number): readonly string[] {
  if (!(thrown instanceof Error)) return [briefly(thrown)];
  const facts = Object.entries(thrown).flatMap(([name, value]) =>
    SAID.has(name) || !isPlain(value) ? [] : [`${name}: ${briefly(value)}`],
  );
  return [
    ...(thrown.stack ?? String(thrown)).split("\n").map(harmlessText),
    ...(facts.length === 0 ? [] : [`    (${facts.join(", ")})`]),
    ...(left === 0 ? [] : causesOf(thrown).flatMap((cause) => caused(cause, left - 1))),
  ];
}

function causesOf(error: Error): readonly unknown[] {
  const several: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  return [...several, ...(error.cause === undefined ? [] : [error.cause])].slice(0, CAUSES_MOST);
}

function caused(cause: unknown, left: number): readonly string[] {
  const [first = "", ...rest] = details(cause, left);
  return [`Caused by ${first}`, ...rest];
}

function isPlain(value: unknown): boolean {
  return ["string", "number", "boolean", "bigint"].includes(typeof value);
}

/** What is no error may be anything, such as a message of the peer's. */
function briefly(value: unknown): string {
  const text = inspect(value, { depth: 1, breakLength: Infinity, maxStringLength: TEXT_MOST });
  return text.slice(0, TEXT_MOST);
}
