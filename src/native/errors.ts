/** From the native core's error kinds to exit codes and advice: one table. */

import { PvferryError, REPORT_DEFECT } from "../core/errors.ts";
import type { ExitCode } from "../core/exit-codes.ts";
import type { NativeErrorKind, NativeErrorText } from "./types.ts";

interface KindRow {
  readonly code: ExitCode;
  readonly next: string;
}

const KINDS: { readonly [Kind in NativeErrorKind]: KindRow } = {
  bug: {
    code: 1,
    next: REPORT_DEFECT,
  },
  network: {
    code: 20,
    next: "Check the network between the two sides, then run the same command again.",
  },
  untrusted: {
    code: 22,
    next: "Give both sides the certificates of one transfer: the source its source folder, the target its target folder.",
  },
  protocol: {
    code: 23,
    next: "Check that the address and port are those of a pvferry agent, of the same release as this one.",
  },
  space: {
    code: 30,
    next: "Enlarge the target volume or free space on it, then run the same command again.",
  },
  volume: { code: 31, next: "Check the volume's path, its mount and its permissions." },
  io: {
    code: 32,
    next: "Check the health of the volume and of its file system, then run the same command again.",
  },
  busy: { code: 33, next: "End what uses it, or choose another, then run the same command again." },
  limit: {
    code: 34,
    next: "If these are the right two volumes, change the flag that the message names, then run the same command again.",
  },
  journal: {
    code: 35,
    next: "With --discard-journal the target does without it: whatever the volume holds is then compared with the source by content.",
  },
  interrupted: { code: 130, next: "Run the same command again." },
};

/** Where the errno says more than the kind: "kind ERRNO". */
const BY_ERRNO: ReadonlyMap<string, KindRow> = new Map([
  [
    "space EDQUOT",
    { code: 30, next: "Raise the quota on the target volume, then run the same command again." },
  ],
  [
    "volume ENOSYS",
    {
      code: 31,
      next: "Linux 4.18 or newer is needed, and in a container a seccomp filter that allows its system calls.",
    },
  ],
  ["network EADDRINUSE", KINDS.busy],
  ["network EADDRNOTAVAIL", { code: 2, next: "Listen on an address that this machine has." }],
  ["network EACCES", { code: 2, next: "Listen on a port that this user may use, such as 6443." }],
]);

export function fromNativeError(text: NativeErrorText, cause?: unknown): PvferryError {
  const row = BY_ERRNO.get(`${text.kind} ${text.errno}`) ?? KINDS[text.kind];
  return new PvferryError({ code: row.code, message: text.message, next: row.next, cause });
}

/** The JSON of a NativeErrorText; null when it is something else, such as a napi message about a wrong argument. */
export function parseNativeErrorText(json: string): NativeErrorText | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return null;
  }
  return isNativeErrorText(value) ? value : null;
}

function isNativeErrorText(value: unknown): value is NativeErrorText {
  if (typeof value !== "object" || value === null) return false;
  const { kind, message, errno } = value as Partial<Record<keyof NativeErrorText, unknown>>;
  return (
    typeof kind === "string" &&
    Object.hasOwn(KINDS, kind) &&
    typeof message === "string" &&
    (errno === null || typeof errno === "string")
  );
}

/** For texts that arrive outside of an exception, such as a connection's end. */
export function nativeErrorFromJson(json: string): PvferryError {
  const text = parseNativeErrorText(json);
  return fromNativeError(
    text ?? { kind: "bug", message: `The native core said: ${json}.`, errno: null },
  );
}
