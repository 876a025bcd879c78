/**
 * Everything that crosses between TypeScript and Rust: the addon's functions and transfer objects, in the same order
 * and with the same names as in native/addon/src. Absent is null, never undefined; a missing property throws with its
 * path. Paths are bytes: `path` holds them when they are UTF-8 and `pathBytes` (base64) when they are not; exactly one
 * of the two is non-null. Errors thrown by the addon carry a NativeErrorText as JSON in their message.
 */

import type { JournalText, PassRecord } from "./journal-types.ts";

// -- errors ---------------------------------------------------------------------------------------------------------

export type NativeErrorKind =
  | "bug"
  | "network"
  | "untrusted"
  | "protocol"
  | "space"
  | "volume"
  | "io"
  | "busy"
  | "limit"
  | "journal"
  | "interrupted";

export interface NativeErrorText {
  readonly kind: NativeErrorKind;
  /** One sentence: what happened, where. No trailing full stop missing. */
  readonly message: string;
  /** Symbolic, such as "ENOSPC"; null when no system call failed. */
  readonly errno: string | null;
}

// -- trust and connections ------------------------------------------------------------------------------------------

export interface TlsIdentity {
  /** PEM texts. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  /** The URI SAN that the peer's leaf must carry, e.g. pvferry://<transfer id>/target. */
  readonly peerUri: string;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly tls: TlsIdentity;
  /** From accept to the end of the handshake, and again to the BIND frame. */
  readonly handshakeTimeoutMs: number;
  /** Connections that have not yet proven who they are; one more replaces the oldest of them. */
  readonly maxUnauthenticated: number;
}

export interface ListenerCounts {
  readonly accepted: number;
  readonly authenticated: number;
  /** Closed before or during the handshake: scans, HTTP, garbage, silence. */
  readonly handshakesFailed: number;
  /** Proper TLS, wrong transfer or role. */
  readonly refused: number;
  /** Closed because too many were waiting. */
  readonly displaced: number;
}

export interface ConnectOptions {
  readonly tls: TlsIdentity;
  /** SNI; null sends none (an IP address). Never used for trust. */
  readonly serverName: string | null;
  readonly timeoutMs: number;
}

/** A control connection: a byte stream after TLS and trust. */
export interface Connection {
  /** "address:port" of the peer as the kernel gives it. */
  peerAddress(): string;
  /** onData gets chunks; then null once at a clean end, or an error text (JSON NativeErrorText) once. Call exactly once. */
  start(onData: (chunk: Uint8Array | null, error: string | null) => void): void;
  /** Resolves when the bytes are with the kernel. Rejects with "network" when that takes longer than timeoutMs. */
  send(bytes: Uint8Array, timeoutMs: number): Promise<void>;
  /** Sends close_notify, drains for at most a second in the background, closes. May be called twice. */
  close(): void;
}

export interface Listener {
  port(): number;
  counts(): ListenerCounts;
  close(): void;
}

// -- volumes --------------------------------------------------------------------------------------------------------

export interface VolumeFacts {
  readonly filesystem: string;
  readonly readOnly: boolean;
  readonly totalBytes: number;
  /** What this process may fill. */
  readonly freeBytes: number;
  /** What is filled; a reserve that the file system keeps is neither. */
  readonly usedBytes: number;
  readonly totalInodes: number;
  readonly freeInodes: number;
  /** A whole file system is mounted there; false for a bind mount of a part of one. */
  readonly isMountPoint: boolean;
  /** Names at the root, at most 20, escaped for printing; lost+found and pvferry's own folder aside. */
  readonly firstNames: readonly string[];
  /** The transfer id and volume recorded by an unfinished copy into this volume; null when there is none. */
  readonly unfinishedTransfer: string | null;
  /** There is a journal, and it cannot be read: what a target would end with. */
  readonly journalError: NativeErrorText | null;
  /** The process that writes to this volume now, escaped for printing; null when there is none but this one. */
  readonly heldBy: string | null;
  readonly uid: number;
  readonly gid: number;
  readonly capabilities: string;
}

export interface VolumeTotals {
  readonly entries: number;
  readonly files: number;
  readonly directories: number;
  /** Apparent size of regular files, bytes. */
  readonly bytes: number;
  /** Allocated bytes, holes not counted, hard links counted once. */
  readonly allocatedBytes: number;
}

/** A filter rule that cannot be followed. */
export interface BadRule {
  /** Its place in the list, from 0. */
  readonly rule: number;
  /** Completes "the pattern ...". */
  readonly why: string;
}

/** Ends the work it was given to, and tells nobody else. */
export interface StopFlag {
  /** The work's promise rejects with "interrupted" soon after, unless it is done by then. May be called twice. */
  close(): void;
}

export interface DigestOptions {
  readonly volume: string;
  readonly threads: number;
  readonly oneFileSystem: boolean;
  readonly selinux: "keep" | "drop";
  /** Lines of a gitignore file without comments; later ones win. badRule() has nothing against them. */
  readonly rules: readonly string[];
}

export interface Roots {
  /** 64 hex digits each. */
  readonly content: string;
  readonly metadata: string;
}

export interface FileDigest {
  readonly path: string | null;
  readonly pathBytes: string | null;
  /** 64 hex digits. */
  readonly digest: string;
  /** "plain": what b3sum prints. "block": docs/protocol.md, block form. */
  readonly form: "plain" | "block";
}

// -- sessions -------------------------------------------------------------------------------------------------------

export interface SourceOptions {
  readonly volume: string;
  /** "cutover" looks at every entry again before it settles; what has changed since the scan began is an item. */
  readonly pass: "stage" | "cutover";
  readonly lanes: number;
  readonly scanThreads: number;
  readonly compress: "auto" | "none" | "zstd";
  readonly oneFileSystem: boolean;
  readonly selinux: "keep" | "drop";
  /** As for a digest: what they exclude is not read. */
  readonly rules: readonly string[];
  /** How often a file that changes while it is read is read again before it becomes an item. */
  readonly rereads: number;
  /** The target holds data already and says of each file whether it needs it. */
  readonly compare: boolean;
  /** base64 of 32 bytes, from the target's ready message. */
  readonly secret: string;
  readonly tls: TlsIdentity;
  readonly serverName: string | null;
  /** TLS, trust and BIND of the index and of each lane. */
  readonly handshakeTimeoutMs: number;
  /** Silence after which a connection is dead, and the interval of keep-alives. */
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
}

/** How a target that holds data tells what is unchanged: by size and modification time, unless one of these applies. */
export interface Comparison {
  /** Digests of all files are compared. */
  readonly digests: boolean;
  /** Files of this time (the source's clock) or later may have changed unseen: digests are compared. */
  readonly racyFrom: Moment | null;
}

export interface Moment {
  /** Since 1970, negative before. */
  readonly seconds: number;
  readonly nanoseconds: number;
}

/**
 * "refuse": there may be none, unless they are this transfer's own. "update": what differs is replaced, what the source
 * does not have stays. "mirror": what the source does not have is removed.
 */
export type Existing = "refuse" | "update" | "mirror";

/** At most one of the two is non-null; with neither, any number of entries may be removed. */
export interface MaxDelete {
  readonly entries: number | null;
  /** Of the entries that the target had before; at most two decimals count. */
  readonly percent: number | null;
}

export interface TargetOptions {
  readonly volume: string;
  /** What is recorded in the volume until the copy is finished: transfer id and volume name. */
  readonly transfer: string;
  /** What is there is compared; null: nothing stays that is there. */
  readonly compare: Comparison | null;
  /** What a journal says that is there already does not count. */
  readonly discardJournal: boolean;
  /** Between two checkpoints; 0: only at the end. */
  readonly checkpointMs: number;
  readonly lanes: number;
  readonly secret: string;
  /** What becomes of entries that the volume holds already. */
  readonly existing: Existing;
  readonly maxDelete: MaxDelete;
  /** A source without any entry may be mirrored. */
  readonly allowEmptySource: boolean;
  /** The source's rules: what they exclude stays as it is. A bad one throws "protocol". */
  readonly rules: readonly string[];
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
}

export type ItemClass = "unreadable" | "not-written" | "not-kept" | "changed" | "skipped";

export interface Item {
  readonly side: "source" | "target";
  readonly class: ItemClass;
  readonly path: string | null;
  readonly pathBytes: string | null;
  /** What could not be read or kept: "data", "owner", "mode", "times", "xattr user.x", "hard link", "mount point" ... */
  readonly what: string;
  readonly errno: string | null;
  readonly detail: string;
}

export interface NotPreserved {
  /** "security.selinux", "project id", "birth time", "flag immutable" ... */
  readonly kind: string;
  readonly count: number;
}

export interface EntryCounts {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly hardLinks: number;
  readonly fifos: number;
  readonly sockets: number;
  readonly devices: number;
}

export interface SessionResult {
  /** What this side read (source) or wrote (target). */
  readonly entries: EntryCounts;
  /** Sum of the sizes of regular files, bytes. */
  readonly bytes: number;
  /** File data that crossed the lanes before compression, bytes; holes and resends as they went. */
  readonly movedBytes: number;
  /** Of files that were sent: data that the target had already, in an older file or an unfinished part, bytes. */
  readonly matchedBytes: number;
  /** Files that the target had, and of which both sides have read the same bytes. */
  readonly comparedFiles: number;
  /** Files that the target had, with the same size and modification time; nobody has read them. */
  readonly assumedFiles: number;
  /** Entries of the target that the source did not have, and that are gone; 0 on the source. */
  readonly deleted: number;
  /** Entries that the rules exclude: not read (source), or there and left alone (target); what is beneath does not count. */
  readonly excluded: number;
  /** Entries of the target that should have gone and could not: each is an item, not-kept. 0 on the source. */
  readonly notRemoved: number;
  /** What the lanes and the index sent or received, bytes, inside TLS. */
  readonly wireBytes: number;
  /** Moved bytes that were sent more than once (source), or that arrived wrong (target). */
  readonly resent: number;
  readonly roots: Roots;
  readonly itemCounts: { readonly [itemClass in ItemClass]: number };
  readonly notPreserved: readonly NotPreserved[];
}

export type SessionEvent =
  | { readonly type: "items"; readonly items: readonly Item[] }
  /** A connection died: attach another (source) or wait for one (target). `worked`: frames were acknowledged on it. */
  | {
      readonly type: "lane-lost";
      readonly lane: number;
      readonly reason: string;
      readonly worked: boolean;
    }
  /** The network failed before the target had bound the index (source only): attach another, or give up. */
  | { readonly type: "index-lost"; readonly error: NativeErrorText }
  /** Every entry is acknowledged; the closing walk of a cutover pass begins (source only). */
  | { readonly type: "closing" }
  /** Every entry is written (source: acknowledged); the result is final but not yet durable. */
  | { readonly type: "settled"; readonly result: SessionResult }
  /** The session is over; nothing follows. */
  | { readonly type: "failed"; readonly error: NativeErrorText };

/**
 * Order of the counters in the array that counters() returns: shared memory, written by Rust, read at will. bytesScanned
 * and bytesDone count data, holes in neither; they come to be equal as far as stat(2) tells how much data a file has.
 */
export const COUNTERS = [
  "entriesScanned",
  "bytesScanned",
  "allocatedScanned",
  "scanDone",
  "entriesDone",
  "filesDone",
  "bytesDone",
  "wireBytes",
  "resent",
  "lanesAlive",
  "lanesLost",
  "entriesRechecked",
] as const;

export interface SourceSession {
  /** Takes a duplicate of the connected socket's descriptor; TLS, trust and BIND happen in the background. */
  attachIndex(fd: number): void;
  attachLane(fd: number, lane: number): void;
  counters(): BigUint64Array;
  /** Stops all work; connections are closed; no event follows. May be called twice. */
  close(): void;
}

export interface TargetSession {
  counters(): BigUint64Array;
  /** Resolves when the journal has it on disk. */
  recordPass(pass: PassRecord): Promise<void>;
  /** syncfs (fsync where syncfs promises nothing), then removes the record of the unfinished copy if `finished`. */
  durable(finished: boolean): Promise<void>;
  close(): void;
  /**
   * Closes it, and resolves when no thread of it works any more and all that it held of the volume is given back: only
   * then the volume can be opened again. Nothing but close() may be called after it.
   */
  gone(): Promise<void>;
}

// -- the addon ------------------------------------------------------------------------------------------------------

export interface Addon {
  version(): string;
  /** BLAKE3 of a text's UTF-8, 64 hex digits. */
  digestText(text: string): string;
  listen(options: ListenOptions, onControl: (connection: Connection) => void): Listener;
  /** Takes a duplicate of fd. TLS, then trust; a refusal in words by the peer rejects with "untrusted". */
  connect(fd: number, options: ConnectOptions): Promise<Connection>;
  stopFlag(): StopFlag;
  volumeFacts(path: string): VolumeFacts;
  /** The first of these filter rules that cannot be followed; null when all can. */
  badRule(rules: readonly string[]): BadRule | null;
  measureVolume(
    path: string,
    oneFileSystem: boolean,
    rules: readonly string[],
    stop: StopFlag,
  ): Promise<VolumeTotals>;
  /** Roots of a directory; onFiles gets batches of file digests, null when nobody wants them. */
  digestVolume(
    options: DigestOptions,
    onEvents: (events: readonly SessionEvent[]) => void,
    onFiles: ((files: readonly FileDigest[]) => void) | null,
    stop: StopFlag,
  ): Promise<Roots>;
  openSource(
    options: SourceOptions,
    onEvents: (events: readonly SessionEvent[]) => void,
  ): SourceSession;
  openTarget(
    options: TargetOptions,
    listener: Listener,
    onEvents: (events: readonly SessionEvent[]) => void,
  ): TargetSession;
  /** Reads without a lock, also while a target writes; null when the volume has no journal. */
  readJournal(path: string): Promise<JournalText | null>;
}
