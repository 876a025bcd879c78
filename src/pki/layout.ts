/**
 * How a PKI lies on disk: one folder per side, with the three files of a Kubernetes TLS Secret, and the CA only when its
 * key is kept.
 *
 *     DIR/source/{tls.crt,tls.key,ca.crt}     DIR/target/{...}     DIR/ca/{tls.crt,tls.key}
 */

import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";

import { errnoOf } from "../core/system-errors.ts";
import type { Role } from "../core/transfer-id.ts";
import type { Issuer } from "./certificates.ts";
import type { Leaf, Pki } from "./make.ts";

export const CERTIFICATE_FILE = "tls.crt";
export const KEY_FILE = "tls.key";
export const CA_FILE = "ca.crt";
export const PARTS = ["source", "target", "ca"] as const;
export type Part = (typeof PARTS)[number];

/** Texts by file name, by part. */
export type PkiTexts = ReadonlyMap<Part, ReadonlyMap<string, string>>;

export function pkiTexts(pki: Pki, keepCaKey: boolean): PkiTexts {
  const { ca, leaves } = pki;
  const leaf = (role: Role): readonly [Part, ReadonlyMap<string, string>] => [
    role,
    leafTexts(leaves[role], ca),
  ];
  const kept = new Map([
    [CERTIFICATE_FILE, ca.certificate],
    [KEY_FILE, ca.keys.privateKey],
  ]);
  return new Map([leaf("source"), leaf("target"), ...(keepCaKey ? [["ca", kept] as const] : [])]);
}

function leafTexts(leaf: Leaf, ca: Issuer): ReadonlyMap<string, string> {
  return new Map([
    [CERTIFICATE_FILE, leaf.certificate],
    [KEY_FILE, leaf.key],
    [CA_FILE, ca.certificate],
  ]);
}

/** A folder beside `folder` that becomes it by renaming: on the same file system, hidden, ours alone. */
export function stagingName(folder: string): string {
  const random = randomBytes(6).toString("hex");
  return path.join(path.dirname(folder), `.${path.basename(folder)}.new-${random}`);
}

/** Writes everything under a new folder and brings it to the disk. On failure nothing of it stays. */
export async function writeTexts(folder: string, texts: PkiTexts): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  try {
    for (const [part, files] of texts) await writePart(path.join(folder, part), files);
    await syncPath(folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Certificates may be read by anybody, the key by its owner only. `wx`: nothing that is there already is written to.
 */
async function writePart(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  for (const [name, text] of files) {
    const file = await open(path.join(folder, name), "wx", name === KEY_FILE ? 0o600 : 0o644);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  }
  await syncPath(folder);
}

/** Also of a folder, whose new names are not on the disk before. */
export async function syncPath(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Puts a staged part in the place of an older one; the older one comes back when that fails. */
export async function replacePart(staged: string, folder: string): Promise<void> {
  const aside = asideName(folder);
  const hadOne = await renameIfThere(folder, aside);
  try {
    await rename(staged, folder);
  } catch (error) {
    if (hadOne) await rename(aside, folder);
    throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

/** Undoes what a killed replacePart left: either the older part is in its place again, or the newer one stays. */
export async function recoverPart(folder: string): Promise<void> {
  const aside = asideName(folder);
  try {
    await rename(aside, folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    // The newer one is there (ENOTEMPTY, EEXIST).
    await rm(aside, { recursive: true, force: true });
  }
}

function asideName(folder: string): string {
  return path.join(path.dirname(folder), `.${path.basename(folder)}.replaced`);
}

async function renameIfThere(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
