/**
 * Every flag, once: commander's options, the environment variables, --help and docs/flags.md are all made from this
 * table. No flag may be called --port or --service-..., or end like that: Kubernetes sets PVFERRY_PORT, PVFERRY_SERVICE_...
 * and PVFERRY_TARGET_PORT in every pod beside Services called pvferry and pvferry-target.
 */

import { durationText } from "../core/units.ts";
import { COMMANDS, flag, list, optional, toggle, type CommandName, type Flag } from "./flag-row.ts";
import { DEFAULTS, LIMITS } from "./limits.ts";
import { PATH_FLAGS } from "./path-flags.ts";
import { listenKind } from "./proxy-kinds.ts";
import {
  choice,
  DELETE_LIMIT,
  duration,
  integer,
  namedVolume,
  PATH,
  PATTERN,
  rate,
} from "./value-kinds.ts";

export const FLAGS = {
  ...PATH_FLAGS,
  tls: flag({
    name: "tls",
    value: "DIR",
    kind: PATH,
    fallback: "required",
    fallbackText: "",
    help: "folder with tls.crt, tls.key and ca.crt of this side, as pki init lays it out",
    commands: ["source", "target", "doctor"],
  }),
  listen: optional({
    name: "listen",
    value: "[HOST:]PORT",
    kind: listenKind(DEFAULTS.listenHost, DEFAULTS.listenPort),
    isSecret: true,
    fallbackText: `of a target, ${DEFAULTS.listenPort} on every address`,
    help: "address and port to listen on; port 0 lets the kernel choose. Either side may: a source that listens has a target with --to, a doctor that does is the other end of the path. ssh://USER@BASTION[:PORT]/HOST:PORT listens on a bastion",
    commands: ["source", "target", "doctor"],
  }),
  readyFile: optional({
    name: "ready-file",
    value: "FILE",
    kind: PATH,
    fallbackText: "",
    help: "while this side listens, this file says where it can be reached (JSON); --to-file of the other side reads it",
    commands: ["source", "target", "doctor"],
  }),
  measure: flag({
    name: "measure",
    value: "DURATION",
    kind: duration(0, LIMITS.doctorMeasureMostMs, DEFAULTS.doctorMeasureMs),
    fallback: DEFAULTS.doctorMeasureMs,
    fallbackText: durationText(DEFAULTS.doctorMeasureMs),
    help: "how long to measure the goodput of 1, 2, 4 and 8 lanes each; 0s: not at all",
    commands: ["doctor"],
  }),
  volume: list({
    name: "volume",
    value: "NAME[=DIR]",
    kind: namedVolume(LIMITS.volumeNameBytes),
    help: `what both sides call this volume; they have to agree. Of a target also NAME=DIR in place of DST, given again for each volume that it serves. A volume without a name is called ${DEFAULTS.volumeName}`,
    commands: ["source", "target"],
  }),
  lanes: optional({
    name: "lanes",
    value: "N",
    kind: integer(1, LIMITS.lanesMost, 4),
    fallbackText: "as the path needs",
    help: "parallel connections that carry data: so many from first to last, of a target at most so many. Without it a source begins with a few, and adds to them on long and lossy paths for as long as that helps",
    commands: ["copy", "source", "target"],
  }),
  congestion: flag({
    name: "congestion",
    value: "HOW",
    kind: choice("auto", "bbr", "cubic"),
    fallback: "auto",
    fallbackText: "auto",
    help: "what paces the connections that carry data (tcp(7)). auto: the kernel's own choice, but bbr on a path that loses packets, where the kernel allows it",
    commands: ["source"],
  }),
  bwlimit: optional({
    name: "bwlimit",
    value: "RATE",
    kind: rate(LIMITS.bwlimitLeast, LIMITS.bwlimitMost),
    fallbackText: "none",
    help: "send at most so many bytes a second, over all lanes together: 800k, 12.5M (decimal), 10Mi (binary)",
    commands: ["copy", "source"],
  }),
  pass: flag({
    name: "pass",
    value: "KIND",
    kind: choice("cutover", "stage"),
    fallback: "cutover",
    fallbackText: "cutover",
    help: "stage: the volume is in use, what changes is listed; cutover: nothing may change, which is checked at the end",
    commands: ["copy", "source"],
  }),
  dryRun: toggle({
    name: "dry-run",
    help: "copy nothing: print what a copy would do, one line an entry in the letters of rsync -i, and what it would send",
    commands: ["copy", "source"],
  }),
  mode: flag({
    name: "mode",
    value: "WHAT",
    kind: choice("copy", "verify"),
    fallback: "copy",
    fallbackText: "copy",
    help: "copy; verify: copy nothing, compare all bytes and attributes of both volumes, print each difference, end with 44 when there is any",
    commands: ["copy", "source"],
  }),
  readOnly: toggle({
    name: "read-only",
    help: "write nothing to the volume, which may hold anything and be mounted read-only: serve --dry-run and --mode verify only",
    commands: ["target"],
  }),
  verify: flag({
    name: "verify",
    value: "HOW",
    kind: choice("stream", "disk", "none"),
    fallback: "stream",
    fallbackText: "stream",
    help: "how the target makes sure that it holds what the source has. stream: it checks digests before it writes; disk: it also reads back from the disk what it has written; none: it does not, which saves about an eighth of the processor time, and the receipt has no content root",
    commands: ["copy", "source"],
  }),
  compress: flag({
    name: "compress",
    value: "WHEN",
    kind: choice("auto", "none", "zstd"),
    fallback: "auto",
    fallbackText: "auto",
    help: "auto: zstd where it pays; none; zstd: always, except for data that does not shrink",
    commands: ["copy", "source"],
  }),
  connectTimeout: flag({
    name: "connect-timeout",
    value: "DURATION",
    kind: duration(1_000, 86_400_000, DEFAULTS.connectTimeoutMs),
    fallback: DEFAULTS.connectTimeoutMs,
    fallbackText: durationText(DEFAULTS.connectTimeoutMs),
    help: "how long to wait for the target to be there",
    commands: ["source"],
  }),
  reconnectTimeout: flag({
    name: "reconnect-timeout",
    value: "DURATION",
    kind: duration(0, 86_400_000, DEFAULTS.reconnectTimeoutMs),
    fallback: DEFAULTS.reconnectTimeoutMs,
    fallbackText: durationText(DEFAULTS.reconnectTimeoutMs),
    help: "how long to go on trying after a lost connection, counted anew once a session has moved anything; 0: not at all",
    commands: ["copy", "source", "target"],
  }),
  scanFirst: toggle({
    name: "scan-first",
    help: "measure the whole volume before copying, to know beforehand that it fits",
    commands: ["copy", "source"],
  }),
  oneFileSystem: toggle({
    name: "one-file-system",
    on: true,
    help: "stay out of file systems mounted beneath the volume",
    commands: ["copy", "source", "digest"],
  }),
  selinux: flag({
    name: "selinux",
    value: "WHAT",
    kind: choice("drop", "keep"),
    fallback: "drop",
    fallbackText: "drop",
    help: "drop or keep SELinux labels (security.selinux), which belong to the source's host",
    commands: ["copy", "source", "digest"],
  }),
  exclude: list({
    name: "exclude",
    value: "PATTERN",
    kind: PATTERN,
    help: "leave out what this pattern of gitignore matches: it is neither copied nor removed (may be given again, as the next two; later ones win)",
    commands: ["copy", "source", "digest"],
  }),
  include: list({
    name: "include",
    value: "PATTERN",
    kind: PATTERN,
    help: "do not leave out what this pattern matches, whatever was said before; it does not reach beneath a folder that is left out",
    commands: ["copy", "source", "digest"],
  }),
  filterFrom: list({
    name: "filter-from",
    value: "FILE",
    kind: PATH,
    help: "read patterns from this file, one a line, with comments and exceptions as in .gitignore",
    commands: ["copy", "source", "digest"],
  }),
  existing: flag({
    name: "existing",
    value: "WHAT",
    kind: choice("refuse", "update", "mirror"),
    fallback: "refuse",
    fallbackText: "refuse",
    help: "entries that the target volume holds already. refuse: there may be none; update: replace what differs; mirror: also remove what the source does not have",
    commands: ["copy", "target"],
  }),
  compare: flag({
    name: "compare",
    value: "HOW",
    kind: choice("size+mtime", "digest"),
    fallback: "size+mtime",
    fallbackText: "size+mtime",
    help: "how to tell that a file which the target volume holds is the same. size+mtime reads only files whose time proves nothing; digest reads all of them, on both sides",
    commands: ["copy", "target"],
  }),
  maxDelete: flag({
    name: "max-delete",
    value: "N|P%",
    kind: DELETE_LIMIT,
    fallback: { entries: null, percent: null },
    fallbackText: "no limit",
    help: "remove at most N entries, or P % of those that the target volume had; with more to remove, remove none and end with 34",
    commands: ["copy", "target"],
  }),
  allowEmptySource: toggle({
    name: "allow-empty-source",
    help: "mirror a source volume that is empty, removing everything from the target volume",
    commands: ["copy", "target"],
  }),
  inplace: toggle({
    name: "inplace",
    help: "write large files that have changed into themselves, for which no second copy has room; the journal calls each torn until it is whole",
    commands: ["copy", "target"],
  }),
  checkpoint: flag({
    name: "checkpoint",
    value: "DURATION",
    kind: duration(0, LIMITS.checkpointMostMs, DEFAULTS.checkpointMs),
    fallback: DEFAULTS.checkpointMs,
    fallbackText: durationText(DEFAULTS.checkpointMs),
    help: "how often the target makes sure that what it has written is on disk; 0s: only at the end",
    commands: ["copy", "target"],
  }),
  discardJournal: toggle({
    name: "discard-journal",
    help: "do without the journal in the target volume when it is foreign or damaged: compare everything by content",
    commands: ["copy", "target"],
  }),
  receipt: optional({
    name: "receipt",
    value: "FILE",
    kind: PATH,
    fallbackText: "",
    help: "write the receipt (JSON) to this file; of a target, {volume} in it, as in the next two, stands for the volume's name",
    commands: ["copy", "source", "target"],
  }),
  items: optional({
    name: "items",
    value: "FILE",
    kind: PATH,
    fallbackText: "",
    help: "write every entry that was not read, written or kept to this file, one JSON object a line",
    commands: ["copy", "source", "target"],
  }),
  list: optional({
    name: "list",
    value: "FILE",
    kind: PATH,
    fallbackText: "",
    help: "of --dry-run and --mode verify: write every difference to this file, one JSON object a line",
    commands: ["copy", "source", "target"],
  }),
  files: toggle({
    name: "files",
    help: "one line per file for b3sum --check, run in DIR",
    commands: ["digest"],
  }),
  out: flag({
    name: "out",
    value: "DIR",
    kind: PATH,
    fallback: "required",
    fallbackText: "",
    help: "folder of the PKI: DIR/source and DIR/target, and DIR/ca with --keep-ca-key",
    commands: ["pki init", "pki renew"],
  }),
  days: flag({
    name: "days",
    value: "N",
    kind: integer(1, LIMITS.certificateDaysMost, DEFAULTS.certificateDays),
    fallback: DEFAULTS.certificateDays,
    fallbackText: `${DEFAULTS.certificateDays}`,
    help: "how long the certificates are valid",
    commands: ["pki init", "pki renew"],
  }),
  keepCaKey: toggle({
    name: "keep-ca-key",
    help: "keep the CA's key in DIR/ca, so that pki renew can make new leaves for the same CA",
    commands: ["pki init", "pki renew"],
  }),
  json: toggle({
    name: "json",
    help: "print one JSON document (the result, or the error) on stdout and nothing else there",
    commands: COMMANDS,
  }),
  quiet: toggle({
    name: "quiet",
    short: "q",
    help: "no progress, no notices and no receipt in words; what went wrong is still said",
    commands: COMMANDS,
  }),
  verbose: flag({
    name: "verbose",
    short: "v",
    value: null,
    kind: integer(0, 2, 1),
    fallback: 0,
    fallbackText: "",
    help: "say more; twice: stack traces too",
    commands: COMMANDS,
  }),
} as const;

type Table = typeof FLAGS;
export type FlagKey = keyof Table;

/** The resolved values of one command's flags. */
export type FlagValues<C extends CommandName> = {
  readonly [
    K in FlagKey as C extends Table[K]["commands"][number] ? K : never
  ]: Table[K] extends Flag<infer T> ? T : never;
};

export function flagsOf(command: CommandName): readonly (readonly [FlagKey, Flag<unknown>])[] {
  const rows = Object.entries(FLAGS) as unknown as readonly (readonly [FlagKey, Flag<unknown>])[];
  return rows.filter(([, row]) => row.commands.includes(command));
}

export function environmentName(row: { readonly name: string }): string {
  return `PVFERRY_${row.name.toUpperCase().replaceAll("-", "_")}`;
}
