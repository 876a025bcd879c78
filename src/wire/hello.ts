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

const opening = z.looseObject({
  type: z.literal("hello"),
  magic: z.literal("pvferry"),
  versions: versionRange,
  agent: z.string().max(128),
});

/** The part of a hello that every release keeps. */
export interface HelloOpening {
  readonly versions: VersionRange;
  readonly agent: string;
}

/** Throws (23) unless `value` opens like a hello. The rest of the message may still be wrong. */
export function parseHelloOpening(value: unknown): HelloOpening {
  const parsed = opening.safeParse(value);
  if (!parsed.success) throw notAHello(parsed.error);
  return { versions: parsed.data.versions, agent: parsed.data.agent };
}

export function speaksOurVersion(peer: HelloOpening): boolean {
  return commonVersion(PROTOCOL_VERSIONS, peer.versions) !== null;
}

/** The newest version that both speak; null when there is none. */
export function commonVersion(a: VersionRange, b: VersionRange): number | null {
  const newest = Math.min(a.max, b.max);
  return newest >= Math.max(a.min, b.min) ? newest : null;
}

/** Names both versions; each side says it in the same words. */
export function versionMismatch(
  self: { readonly role: Role; readonly agent: string },
  peer: HelloOpening,
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
