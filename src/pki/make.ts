/** One transfer's whole PKI, in memory. */

import type { Role } from "../core/transfer-id.ts";
import {
  makeCaCertificate,
  makeLeafCertificate,
  validityFrom,
  type Issuer,
} from "./certificates.ts";
import { newKeyPair, type KeyPair } from "./keys.ts";

/** One side's certificate and its key, PEM. */
export interface Leaf {
  readonly certificate: string;
  readonly key: string;
}

export interface Pki {
  readonly ca: Issuer;
  readonly leaves: Readonly<Record<Role, Leaf>>;
}

/** Three RSA keys at once, which takes most of a second. Nothing is written. */
export async function makePki(transfer: string, days: number, now = new Date()): Promise<Pki> {
  const [caKeys, source, target] = await Promise.all([newKeyPair(), newKeyPair(), newKeyPair()]);
  const certificate = makeCaCertificate(transfer, caKeys, validityFrom(now, days));
  const ca = { transfer, keys: caKeys, certificate };
  return { ca, leaves: issueLeaves(ca, { source, target }, days, now) };
}

/** New leaves, with new keys, of a CA whose key was kept. */
export async function makeLeaves(
  ca: Issuer,
  days: number,
  now = new Date(),
): Promise<Readonly<Record<Role, Leaf>>> {
  const [source, target] = await Promise.all([newKeyPair(), newKeyPair()]);
  return issueLeaves(ca, { source, target }, days, now);
}

/** Both from the same moment, so that neither side outlasts the other. */
function issueLeaves(
  ca: Issuer,
  keys: Readonly<Record<Role, KeyPair>>,
  days: number,
  now: Date,
): Readonly<Record<Role, Leaf>> {
  const validity = validityFrom(now, days);
  const issue = (role: Role): Leaf => ({
    certificate: makeLeafCertificate(ca, role, keys[role], validity),
    key: keys[role].privateKey,
  });
  return { source: issue("source"), target: issue("target") };
}
