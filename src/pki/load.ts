/** Reads an agent's folder: what pki init made, or a mounted Secret with the same files. */

import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { fileError } from "../core/system-errors.ts";
import type { Role } from "../core/transfer-id.ts";
import { checkIdentity, type AgentIdentity, type IdentityTexts } from "./identity.ts";
import { CA_FILE, CERTIFICATE_FILE, KEY_FILE } from "./layout.ts";

/** Throws when others can read the key file. Given by the caller, who knows about hosts and mounts. */
export type CheckPrivacy = (keyFile: string) => void;

/** Throws with 2 what cannot be used, with 22 what is out of its time. */
export function loadIdentity(
  folder: string,
  role: Role | null,
  checkPrivacy: CheckPrivacy,
  now = new Date(),
): AgentIdentity {
  const texts = readTexts(folder, role);
  checkPrivacy(path.join(folder, KEY_FILE));
  return checkIdentity(texts, role, escapeText(folder), now);
}

function readTexts(folder: string, role: Role | null): IdentityTexts {
  refuseMissing(folder, role ?? "source");
  return {
    ca: readPem(path.join(folder, CA_FILE)),
    certificate: readPem(path.join(folder, CERTIFICATE_FILE)),
    key: readPem(path.join(folder, KEY_FILE)),
  };
}

/** Bounded: a wrong path may name anything. */
export function readPem(file: string): string {
  try {
    const { size } = statSync(file);
    if (size > LIMITS.pemFileBytes) throw new Error(`it has ${size} bytes, which no PEM file has`);
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw fileError("read", file, cause);
  }
}

/** Said before anything is read, with the most likely mistake looked for: the folder above was given. */
function refuseMissing(folder: string, role: Role): void {
  const shown = escapeText(folder);
  if (!existsSync(folder)) {
    throw new PvferryError({
      code: 2,
      message: `--tls: there is no folder ${shown}.`,
      next: "Make one with pvferry pki init --out DIR and bring DIR/source and DIR/target to their sides.",
    });
  }
  const missing = [CERTIFICATE_FILE, KEY_FILE, CA_FILE].filter(
    (name) => !existsSync(path.join(folder, name)),
  );
  if (missing.length === 0) return;
  const below = path.join(folder, role);
  throw new PvferryError({
    code: 2,
    message: `--tls: ${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} missing in ${shown}.`,
    next: existsSync(path.join(below, KEY_FILE))
      ? `The ${role}'s files are one folder further down: --tls ${escapeText(below)}.`
      : "It needs tls.crt, tls.key and ca.crt, as pvferry pki init lays them out.",
  });
}
