/**
 * The one table of exit codes. A receipt's `exitCode`, an error's `code` and the process's exit status are all taken
 * from here; docs/exit-codes.md is compared with it by a test.
 */

export interface ExitCodeRow {
  readonly code: number;
  /** Stable word for machines, printed in JSON beside the number. */
  readonly name: string;
  readonly meaning: string;
  /** Whether the same command, started again and nothing else changed, may end better. */
  readonly retry: "yes" | "no" | "after a change";
}

export const EXIT_CODES = [
  { code: 0, name: "ok", meaning: "everything was kept", retry: "no" },
  { code: 1, name: "bug", meaning: "a defect of pvferry; please report it", retry: "no" },
  { code: 2, name: "usage", meaning: "wrong usage or configuration", retry: "after a change" },
  {
    code: 20,
    name: "network",
    meaning: "network: unreachable, lost, or outcome unknown",
    retry: "yes",
  },
  { code: 21, name: "proxy", meaning: "the proxy refused or failed", retry: "yes" },
  {
    code: 22,
    name: "untrusted",
    meaning: "the peer is not trusted, or does not trust us",
    retry: "after a change",
  },
  { code: 23, name: "protocol", meaning: "protocol or version mismatch", retry: "after a change" },
  {
    code: 24,
    name: "gave-up",
    meaning: "the other side gave up; its reason is printed",
    retry: "after a change",
  },
  {
    code: 30,
    name: "space",
    meaning: "no space, inodes or quota on the target",
    retry: "after a change",
  },
  {
    code: 31,
    name: "volume",
    meaning: "volume missing, not a directory, not empty, read-only, or no permission",
    retry: "after a change",
  },
  { code: 32, name: "volume-io", meaning: "I/O error of the volume", retry: "after a change" },
  { code: 33, name: "in-use", meaning: "the volume or the port is in use", retry: "yes" },
  {
    code: 34,
    name: "limit",
    meaning: "refused by a limit that the user set",
    retry: "after a change",
  },
  {
    code: 35,
    name: "journal",
    meaning: "the journal is foreign or damaged",
    retry: "after a change",
  },
  {
    code: 40,
    name: "unreadable",
    meaning: "finished, but entries could not be read or written",
    retry: "after a change",
  },
  {
    code: 41,
    name: "not-kept",
    meaning: "finished, but attributes could not be kept, or extra entries not removed",
    retry: "after a change",
  },
  {
    code: 42,
    name: "changed",
    meaning: "finished, but the source changed during the cutover pass, or while it was compared",
    retry: "yes",
  },
  {
    code: 43,
    name: "digest-mismatch",
    meaning: "the two sides' digests differ, or the target's disk did not keep what was written",
    retry: "yes",
  },
  { code: 44, name: "differ", meaning: "the volumes differ", retry: "after a change" },
  { code: 130, name: "interrupted", meaning: "interrupted (Ctrl-C)", retry: "yes" },
  { code: 143, name: "terminated", meaning: "terminated (SIGTERM)", retry: "yes" },
] as const satisfies readonly ExitCodeRow[];

export type ExitCode = (typeof EXIT_CODES)[number]["code"];
export type ExitCodeName = (typeof EXIT_CODES)[number]["name"];

const ROW_BY_CODE: ReadonlyMap<number, (typeof EXIT_CODES)[number]> = new Map(
  EXIT_CODES.map((row) => [row.code, row]),
);

/** For numbers that came over the wire or from a child process. */
export function isExitCode(code: number): code is ExitCode {
  return ROW_BY_CODE.has(code);
}

export function exitCodeRow(code: ExitCode): ExitCodeRow & { readonly name: ExitCodeName } {
  const row = ROW_BY_CODE.get(code);
  if (row === undefined) throw new RangeError(`no such exit code: ${code}`);
  return row;
}

/** For sentences: "31 (volume)". */
export function exitCodeText(code: ExitCode): string {
  return `${code} (${exitCodeRow(code).name})`;
}
