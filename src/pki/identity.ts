/** The certificates that one agent works with, checked. Certificates are data here: nothing is read from disk. */

import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import { parseLeafUri, type LeafName, type Role } from "../core/transfer-id.ts";

export interface IdentityTexts {
  /** PEM. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** What an agent presents to its peer, and what it measures the peer by: same CA, same transfer, opposite role. */
export interface AgentIdentity extends IdentityTexts {
  readonly transfer: string;
  readonly role: Role;
  /** When the first of the two certificates ends. */
  readonly notAfter: Date;
}

/** `where` names the place in messages, such as the folder; the role may be either one when it is null. */
export function checkIdentity(
  texts: IdentityTexts,
  role: Role | null,
  where: string,
  now = new Date(),
): AgentIdentity {
  const ca = parseCertificate(texts.ca, `ca.crt in ${where}`);
  const leaf = parseCertificate(texts.certificate, `tls.crt in ${where}`);
  const key = parseKey(texts.key, `tls.key in ${where}`);
  if (!leaf.checkPrivateKey(key)) {
    throw unusable(`tls.key in ${where} is not the key of tls.crt beside it.`);
  }
  if (!leaf.checkIssued(ca) || !leaf.verify(ca.publicKey)) {
    throw unusable(`tls.crt in ${where} was not issued by the CA in ca.crt beside it.`);
  }
  const name = leafNameOf(leaf, where);
  if (role !== null && name.role !== role) {
    throw unusable(`${where} holds the certificate of the ${name.role}, and this is the ${role}.`);
  }
  refuseOutOfTime([leaf, ca], where, now);
  return { ...texts, ...name, notAfter: earliestEnd([leaf, ca]) };
}

/** A sentence when the certificates end soon; null otherwise. */
export function expiryNotice(identity: AgentIdentity, now = new Date()): string | null {
  const left = identity.notAfter.getTime() - now.getTime();
  if (left > LIMITS.certificateExpiryNoticeMs) return null;
  return `The certificates of this transfer end at ${identity.notAfter.toISOString()}; pvferry pki renew makes new ones.`;
}

function parseCertificate(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw unusable(`${what} is not a certificate in PEM form.`, cause);
  }
}

/** Without a passphrase: an agent starts with nobody there to type one. */
function parseKey(pem: string, what: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw unusable(`${what} is not an unencrypted private key in PEM form.`, cause);
  }
}

/** Which transfer and which side the certificate was made for; throws when it says neither. */
export function leafNameOf(leaf: X509Certificate, where: string): LeafName {
  for (const name of (leaf.subjectAltName ?? "").split(", ")) {
    const parsed = name.startsWith("URI:") ? parseLeafUri(name.slice("URI:".length)) : null;
    if (parsed !== null) return parsed;
  }
  throw unusable(`tls.crt in ${where} does not name a transfer (no pvferry:// URI in it).`);
}

/** 22, since the peer would refuse them as well; here it can be said which clock or certificate is wrong. */
function refuseOutOfTime(certificates: readonly X509Certificate[], where: string, now: Date): void {
  const ends = earliestEnd(certificates);
  const begins = certificates.map((each) => each.validFromDate).toSorted((a, b) => +b - +a)[0];
  if (now > ends) {
    throw new PvferryError({
      code: 22,
      message: `The certificates in ${where} expired at ${ends.toISOString()}.`,
      next: "Make new ones with pvferry pki renew and bring them to both sides.",
    });
  }
  if (begins !== undefined && now < begins) {
    throw new PvferryError({
      code: 22,
      message: `The certificates in ${where} are valid from ${begins.toISOString()} on, and this host's clock says ${now.toISOString()}.`,
      next: "Set this host's clock right.",
    });
  }
}

/** A leaf is worth nothing without its CA: whichever of them ends first ends both. */
function earliestEnd(certificates: readonly X509Certificate[]): Date {
  return new Date(Math.min(...certificates.map((each) => each.validToDate.getTime())));
}

/** 2: the folder is not what it should be, and no peer has been asked yet. */
function unusable(message: string, cause?: unknown): PvferryError {
  return new PvferryError({
    code: 2,
    message,
    next: "Use a folder as pvferry pki init lays it out, with the files of one side unchanged.",
    cause,
  });
}
