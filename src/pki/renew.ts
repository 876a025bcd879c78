/**
 * New certificates for a transfer that goes on. With the CA's key the CA stays the same, so the two sides need not get
 * their new folders at the same moment; without it they do, since nothing made before is trusted by anything made now.
 */

import { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { fileError } from "../core/system-errors.ts";
import { makeCaCertificate, validityFrom, type Issuer } from "./certificates.ts";
import { leafNameOf } from "./identity.ts";
import { keyPairOf } from "./keys.ts";
import {
  CERTIFICATE_FILE,
  KEY_FILE,
  PARTS,
  pkiTexts,
  recoverPart,
  replacePart,
  stagingName,
  writeTexts,
} from "./layout.ts";
import { readPem } from "./load.ts";
import { makeLeaves, makePki, type Pki } from "./make.ts";

export interface RenewOptions {
  readonly folder: string;
  readonly days: number;
  readonly keepCaKey: boolean;
}

export interface Renewal {
  readonly transfer: string;
  /** Whether the CA's key was kept, so that a side that has not got its new files yet is still trusted. */
  readonly sameCa: boolean;
}

/** New certificates for the same transfer. Parts are replaced one by one, each in one step. */
export async function renewPki(options: RenewOptions, signal: AbortSignal): Promise<Renewal> {
  const { folder } = options;
  const transfer = await transferOf(folder);
  const kept = keptCa(folder, transfer);
  const pki = await (kept === null
    ? makePki(transfer, options.days)
    : renewUnder(kept, options.days));
  signal.throwIfAborted();
  try {
    await replaceParts(folder, pki, kept !== null || options.keepCaKey);
  } catch (error) {
    throw fileError("write the PKI to", folder, error);
  }
  return { transfer, sameCa: kept !== null };
}

/** Also puts right what an earlier renewal left that was killed. The transfer's id is in either leaf. */
async function transferOf(folder: string): Promise<string> {
  if (existsSync(folder)) for (const part of PARTS) await recoverPart(path.join(folder, part));
  for (const part of ["source", "target"] as const) {
    const file = path.join(folder, part, CERTIFICATE_FILE);
    if (existsSync(file)) return transferIn(file, path.join(folder, part));
  }
  throw new PvferryError({
    code: 2,
    message: `${escapeText(folder)} holds no PKI to renew (no source/tls.crt in it).`,
    next: "Give --out the folder that pvferry pki init made.",
  });
}

/** Throws 2 when the certificate cannot be read, or names no transfer. It may have ended already. */
function transferIn(file: string, where: string): string {
  return leafNameOf(parse(file), escapeText(where)).transfer;
}

function parse(file: string): X509Certificate {
  try {
    return new X509Certificate(readPem(file));
  } catch (cause) {
    throw fileError("read the certificate", file, cause);
  }
}

/** null when pki init was not asked to keep the key. */
function keptCa(folder: string, transfer: string): Issuer | null {
  const keyFile = path.join(folder, "ca", KEY_FILE);
  if (!existsSync(keyFile)) return null;
  const certificate = readPem(path.join(folder, "ca", CERTIFICATE_FILE));
  try {
    return { transfer, keys: keyPairOf(readPem(keyFile)), certificate };
  } catch (cause) {
    throw fileError("use the CA's key", keyFile, cause);
  }
}

/** The CA's certificate is made anew too (same key, same name), since leaves may not outlive it. */
async function renewUnder(kept: Issuer, days: number): Promise<Pki> {
  const certificate = makeCaCertificate(kept.transfer, kept.keys, validityFrom(new Date(), days));
  const ca = { ...kept, certificate };
  return { ca, leaves: await makeLeaves(ca, days) };
}

/** Staged inside of the folder, which may be a file system of its own. */
async function replaceParts(folder: string, pki: Pki, keepCaKey: boolean): Promise<void> {
  const texts = pkiTexts(pki, keepCaKey);
  const staging = stagingName(path.join(folder, "pki"));
  try {
    await writeTexts(staging, texts);
    for (const part of texts.keys()) {
      await replacePart(path.join(staging, part), path.join(folder, part));
    }
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
