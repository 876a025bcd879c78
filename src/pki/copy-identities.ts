/**
 * Certificates for copying on one machine. Making three RSA keys takes most of a second, so one PKI is kept in the
 * user's cache and used again: one file, for its owner only, replaced by renaming, so that copies may run at once. It is
 * made anew when it ends within a day, is damaged, or others could read or exchange it. Where nothing can be kept, each
 * copy makes its own and forgets it. Both agents speak over 127.0.0.1 only.
 */

import { randomBytes } from "node:crypto";
import {
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";
import process from "node:process";

import { LIMITS } from "../config/limits.ts";
import { checkIdentity, type AgentIdentity, type IdentityTexts } from "./identity.ts";

export interface CopyIdentities {
  readonly source: AgentIdentity;
  readonly target: AgentIdentity;
}

/** The same for every copy: which volumes are meant is said by the volume's name. */
const COPY_TRANSFER = "local-copy";
const CACHE_DAYS = 30;
/** A certificate must not end under a copy that runs: what has less than this left is not taken any more. */
const LEAST_LEFT_MS = 24 * 60 * 60 * 1_000;

export interface CacheEnvironment {
  readonly [name: string]: string | undefined;
}

/** Never throws over the cache: one that cannot be read or written only costs the time to make new keys. */
export async function copyIdentities(
  environment: CacheEnvironment,
  now = new Date(),
): Promise<CopyIdentities> {
  const file = cacheFile(environment);
  const kept = file === null ? null : await readKept(file, now);
  if (kept !== null) return kept;
  // Loading what makes certificates takes longer than checking those that are kept.
  const { makePki } = await import("./make.ts");
  const { ca, leaves } = await makePki(COPY_TRANSFER, CACHE_DAYS, now);
  const fresh = {
    source: { ...leaves.source, ca: ca.certificate },
    target: { ...leaves.target, ca: ca.certificate },
  };
  if (file !== null) tryToKeep(file, JSON.stringify(fresh));
  return checkBoth(fresh, "memory", now);
}

/** null when there is no home either, as in a pod with an arbitrary user id: nothing is kept then. */
function cacheFile(environment: CacheEnvironment): string | null {
  const { XDG_CACHE_HOME: cache, HOME: home } = environment;
  // The XDG specification wants relative paths ignored.
  const base = [cache, home === undefined ? undefined : path.join(home, ".cache")].find(
    (folder) => folder !== undefined && path.isAbsolute(folder),
  );
  return base === undefined ? null : path.join(base, "pvferry", "copy.json");
}

async function readKept(file: string, now: Date): Promise<CopyIdentities | null> {
  try {
    if (!isOursAlone(path.dirname(file))) return null;
    const identities = checkBoth(parseTexts(await readOwn(file)), file, now);
    const { source, target } = identities;
    const end = Math.min(source.notAfter.getTime(), target.notAfter.getTime());
    return end - now.getTime() > LEAST_LEFT_MS ? identities : null;
  } catch {
    return null;
  }
}

/** Checked on the opened file, so that it cannot be exchanged in between. */
async function readOwn(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, uid, size } = await handle.stat();
    const ours = uid === process.geteuid?.() && (mode & 0o170_077) === constants.S_IFREG;
    if (!ours || size > LIMITS.pemFileBytes) throw new Error("not a file of ours alone");
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function checkBoth(
  texts: Readonly<Record<"source" | "target", IdentityTexts>>,
  where: string,
  now: Date,
): CopyIdentities {
  return {
    source: checkIdentity(texts.source, "source", where, now),
    target: checkIdentity(texts.target, "target", where, now),
  };
}

function parseTexts(json: string): Readonly<Record<"source" | "target", IdentityTexts>> {
  const parsed: unknown = JSON.parse(json);
  return { source: textsIn(parsed, "source"), target: textsIn(parsed, "target") };
}

/** Shape only; whether the texts are certificates, and of whom, is judged by checkIdentity. */
function textsIn(parsed: unknown, role: "source" | "target"): IdentityTexts {
  const side = (parsed as Readonly<Record<string, Readonly<Record<string, unknown>>>>)[role];
  const { ca, certificate, key } = side ?? {};
  if (typeof ca !== "string" || typeof certificate !== "string" || typeof key !== "string") {
    throw new TypeError("not what was written");
  }
  return { ca, certificate, key };
}

/** A cache that cannot be written is no reason not to copy. */
function tryToKeep(file: string, json: string): void {
  const folder = path.dirname(file);
  const staged = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    // Not recursively: that never ends where a folder takes no new ones (/proc).
    makeFolder(path.dirname(folder));
    makeFolder(folder);
    if (!isOursAlone(folder)) return;
    writeFileSync(staged, json, { mode: 0o600, flag: "wx" });
    renameSync(staged, file);
  } catch {
    tryToRemove(staged);
  }
}

/** `force` forgives a file that is not there, but not a folder that may not be looked into. */
function tryToRemove(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // Somebody else's folder, in which nothing was made.
  }
}

function makeFolder(folder: string): void {
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
}

function isOursAlone(folder: string): boolean {
  const stat = lstatSync(folder);
  return stat.isDirectory() && stat.uid === process.geteuid?.() && (stat.mode & 0o077) === 0;
}
