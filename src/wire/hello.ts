/**
 * The first message of both sides. It is judged in two steps: a small part that every release keeps (magic, versions,
 * agent), so that a mismatch can name both versions, and then the rest.
 */

import { z } from "zod";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { oppositeRole, type Role } from "../core/transfer-id.ts";
import { versionRange } from "./control-messages.ts";

/** Versions of the control protocol that this release speaks. */
export const PROTOCOL_VERSIONS = { min: 1, max: 1 } as const;

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

const stablePart = z.looseObject({
  type: z.literal("hello"),
  magic: z.literal("pvferry"),
  versions: versionRange,
  agent: z.string().max(128),
});

/**
 * Throws (23) unless `value` is a hello whose version range overlaps ours. The rest of the message may still be wrong.
 */
export function checkHelloVersion(value: unknown, self: { role: Role; agent: string }): void {
  const parsed = stablePart.safeParse(value);
  if (!parsed.success) throw notAHello(parsed.error);
  const peer = parsed.data;
  if (commonVersion(PROTOCOL_VERSIONS, peer.versions) !== null) return;
  throw versionMismatch(self, peer);
}

/** The newest version that both speak; null when there is none. */
export function commonVersion(a: VersionRange, b: VersionRange): number | null {
  const newest = Math.min(a.max, b.max);
  return newest >= Math.max(a.min, b.min) ? newest : null;
}

function versionMismatch(
  self: { role: Role; agent: string },
  peer: { agent: string; versions: VersionRange },
): PvferryError {
  const ours = `pvferry ${self.agent} (protocol ${rangeText(PROTOCOL_VERSIONS)})`;
  const theirs = `pvferry ${escapeText(peer.agent)} (protocol ${rangeText(peer.versions)})`;
  return new PvferryError({
    code: 23,
    message: `The ${self.role} is ${ours} and the ${oppositeRole(self.role)} is ${theirs}; they have no protocol version in common.`,
    next: "Run the same release of pvferry on both sides.",
  });
}

function rangeText(range: VersionRange): string {
  return range.min === range.max ? `${range.min}` : `${range.min} to ${range.max}`;
}

function notAHello(cause: unknown): PvferryError {
  return new PvferryError({
    code: 23,
    message: "The peer's first message is not a pvferry hello.",
    next: "Check that the address and port are those of a pvferry agent.",
    cause,
  });
}
