/** Failed system calls on files of pvferry's own (keys, receipts, item lists) in words. Volumes have their own, in Rust. */

import { PvferryError } from "./errors.ts";
import type { ExitCode } from "./exit-codes.ts";
import { escapeText } from "./names.ts";
import { clause } from "./sentences.ts";

interface Explanation {
  readonly code: ExitCode;
  readonly words: string;
  readonly next: string;
}

const CHECK_PATH = "Check the path.";
const CHECK_RIGHTS = "Check the permissions of it and of the folders above it.";

const EXPLANATIONS: ReadonlyMap<string, Explanation> = new Map([
  ["ENOENT", { code: 2, words: "it, or a folder above it, does not exist", next: CHECK_PATH }],
  ["ENOTDIR", { code: 2, words: "something above it is not a folder", next: CHECK_PATH }],
  ["EISDIR", { code: 2, words: "it is a folder", next: CHECK_PATH }],
  ["ENAMETOOLONG", { code: 2, words: "the name is too long", next: CHECK_PATH }],
  ["ELOOP", { code: 2, words: "too many symbolic links", next: CHECK_PATH }],
  ["EACCES", { code: 2, words: "permission denied", next: CHECK_RIGHTS }],
  ["EPERM", { code: 2, words: "not permitted", next: CHECK_RIGHTS }],
  ["EROFS", { code: 2, words: "the file system is read-only", next: "Choose another path." }],
  [
    "ENOSPC",
    { code: 30, words: "no space left", next: "Make room there, or choose another path." },
  ],
  [
    "EDQUOT",
    { code: 30, words: "quota exceeded", next: "Make room there, or choose another path." },
  ],
  [
    "EIO",
    { code: 32, words: "input/output error", next: "Look into the kernel's log of this host." },
  ],
]);

export function errnoOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !("code" in thrown)) return null;
  return typeof thrown.code === "string" ? thrown.code : null;
}

/** Why a system call failed, to end a sentence with: "the file system is read-only (EROFS)". */
export function causeWords(cause: unknown): string {
  const errno = errnoOf(cause);
  const raw = clause(cause instanceof Error ? cause.message : String(cause));
  const words = EXPLANATIONS.get(errno ?? "")?.words ?? raw;
  // Node's own words begin with it.
  return errno === null || words.includes(errno) ? words : `${words} (${errno})`;
}

/** `action` completes "Cannot": "write the receipt". An error that is explained already is handed on. */
export function fileError(action: string, file: string, cause: unknown): PvferryError {
  if (cause instanceof PvferryError) return cause;
  const known = EXPLANATIONS.get(errnoOf(cause) ?? "");
  return new PvferryError({
    code: known?.code ?? 2,
    message: `Cannot ${action} ${escapeText(file)}: ${causeWords(cause)}.`,
    next: known?.next ?? CHECK_PATH,
    cause,
  });
}
