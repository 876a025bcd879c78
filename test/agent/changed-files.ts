/** Which calls of a process change something beneath a folder, as strace sees it. */
import { readFileSync } from "node:fs";

import { tracedCalls, tracing } from "./opened-files.ts";

const OPENS = ["?open", "openat", "?openat2"];
/** Whatever makes, removes, renames or changes an entry without a descriptor that was opened for writing. */
const CHANGES = [
  "?creat ?mkdir mkdirat ?mknod mknodat ?link linkat ?symlink symlinkat",
  "?unlink unlinkat ?rmdir ?rename ?renameat ?renameat2",
  "?chmod fchmod fchmodat ?fchmodat2 ?chown fchown fchownat ?lchown",
  "setxattr lsetxattr fsetxattr ?setxattrat",
  "removexattr lremovexattr fremovexattr ?removexattrat",
  "truncate ftruncate fallocate utimensat ?utime ?utimes ?futimesat",
].flatMap((names) => names.split(" "));

/** Put before a command, writes down whatever it and its children do to files. */
export function tracingChanges(file: string): readonly string[] {
  return tracing(file, [...OPENS, ...CHANGES]);
}

const OPENING = /^open(at2?)?\(/;
const TO_WRITE = /\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b/;

export interface Traced {
  /** Calls that have to do with the folder or with what is in it. */
  readonly all: number;
  /** Those of them that change something, or open it to do so, whether they succeeded or not. */
  readonly changing: readonly string[];
}

/** What was done to a folder that lies beneath no path that begins like its own. Names are plain ASCII. */
export function callsBeneath(trace: string, folder: string): Traced {
  const calls = [...tracedCalls(readFileSync(trace, "latin1"))].map(([, call]) => call);
  const here = calls.filter((call) => call.includes(`<${folder}`) || call.includes(`"${folder}`));
  const changing = here.filter((call) => !OPENING.test(call) || TO_WRITE.test(call));
  return { all: here.length, changing };
}
