/**
 * Everything that crosses between TypeScript and Rust: the addon's functions and transfer objects, in the same order
 * and with the same names as in native/addon/src. Absent is null, never undefined; a missing property throws with its
 * path. Paths are bytes: `path` holds them when they are UTF-8 and `pathBytes` (base64) when they are not; exactly one
 * of the two is non-null. Errors thrown by the addon carry a NativeErrorText as JSON in their message.
 */

import type {
  ConnectOptions,
  Connection,
  Listener,
  ListenOptions,
  PathReading,
  TlsIdentity,
  UnboundConnection,
  UnboundOptions,
} from "./connection-types.ts";
import type { Change, Difference, Item, ItemClass } from "./finding-types.ts";
import type { JournalText, PassRecord } from "./journal-types.ts";
import type {
  BadRule,
  DigestOptions,
  FileDigest,
  Roots,
  StopFlag,
  VolumeFacts,
  VolumeTotals,
} from "./volume-types.ts";

export type {
  Connection,
  ConnectionProtocol,
  ConnectOptions,
  Listener,
  ListenerCounts,
  ListenOptions,
  PathReading,
  TlsIdentity,
  UnboundConnection,
  UnboundOptions,
} from "./connection-types.ts";
export type { Aspect, Change, Difference, EntryKind, Item, ItemClass } from "./finding-types.ts";
export type {
  BadRule,
  DigestOptions,
  FileDigest,
  Roots,
  StopFlag,
  VolumeFacts,
  VolumeTotals,
} from "./volume-types.ts";

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

// -- sessions -------------------------------------------------------------------------------------------------------

export interface SourceOptions {
  readonly volume: string;
  /** "cutover" looks at every entry again before it settles; what has changed since the scan began is an item. */
  readonly pass: "stage" | "cutover";
  /** Nothing is sent: the target only looks, and says what differs. */
  readonly looks: boolean;
  readonly lanes: number;
  readonly scanThreads: number;
  readonly compress: "auto" | "none" | "zstd";
  readonly oneFileSystem: boolean;
  readonly selinux: "keep" | "drop";
  /** As for a digest: what they exclude is not read. */
  readonly rules: readonly string[];
  /** How often a file that changes while it is read is read again before it becomes an item. */
  readonly rereads: number;
  /** With "none", what is sent is not hashed; the target is told the same. */
  readonly verify: VerifyMode;
  /** The target holds data already and says of each file whether it needs it. */
  readonly compare: boolean;
  /** base64 of 32 bytes, from the target's ready message. */
  readonly secret: string;
  readonly tls: TlsIdentity;
  readonly serverName: string | null;
  /** Bytes per second over all lanes together; null: as many as can be. */
  readonly bwlimit: number | null;
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

/** What paces connections: the kernel's own choice as long as no packets are lost, or one of the two. */
export type Congestion = "auto" | "bbr" | "cubic";

/**
 * "none": what is sent whole is not hashed, by neither side. "stream": the bytes that the source reads have the digest of
 * those that the target writes. "disk": the target also reads back from its medium what it has written, writes once more
 * what is not there, and reads that back.
 */
export type VerifyMode = "none" | "stream" | "disk";

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
  /** Large files that have changed are written into themselves; the journal calls them torn meanwhile. */
  readonly inplace: boolean;
  /** The source's rules: what they exclude stays as it is. A bad one throws "protocol". */
  readonly rules: readonly string[];
  readonly verify: VerifyMode;
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
}

/** Of a target that only looks. */
export interface LookOptions {
  readonly volume: string;
  /** How the copy that is to come would compare; null: all bytes of every file, and every attribute exactly. */
  readonly compare: Comparison | null;
  readonly lanes: number;
  readonly secret: string;
  /** With "mirror", what the source does not have is a difference. */
  readonly existing: Existing;
  /** What the copy to come would end with. */
  readonly maxDelete: MaxDelete;
  readonly allowEmptySource: boolean;
  /** The source's, in order: what they exclude is no difference. */
  readonly rules: readonly string[];
  readonly idleTimeoutMs: number;
  readonly keepAliveMs: number;
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

export interface ReadBack {
  /** Type of the target's file system, as mountinfo calls it. */
  readonly filesystem: string;
  /**
   * "direct": past the page cache (O_DIRECT). "dropped": after the page cache was told to forget it. "impossible": the
   * file system keeps its files in memory.
   */
  readonly method: "direct" | "dropped" | "impossible";
  /** Files of which every byte was read back and was right; their sizes, bytes. */
  readonly files: number;
  readonly bytes: number;
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
  /** What a session that only looks has found (target). */
  readonly differences: { readonly [change in Change]: number };
  /** File data that a copy would send, as far as stat(2) tells (source of a session that only looks), bytes. */
  readonly wouldMoveBytes: number;
  /** null on the source, and without "disk". */
  readonly readBack: ReadBack | null;
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
  | { readonly type: "differences"; readonly differences: readonly Difference[] }
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
  attachIndex(fd: number, peerName: string | null): void;
  attachLane(fd: number, lane: number, peerName: string | null): void;
  /** The same with a connection that is ready: what is sent goes out behind BIND, before there is an answer. */
  bindIndex(connection: UnboundConnection): void;
  bindLane(connection: UnboundConnection, lane: number): void;
  counters(): BigUint64Array;
  path(): PathReading;
  /** A lane takes no more than so many bytes that wait to be sent. For index and lanes, those that come later too. */
  limitUnsent(bytes: number): void;
  /** Likewise for index and lanes. null, or what the kernel says that has no such, or does not allow it. */
  setCongestion(algorithm: string): string | null;
  /** Stops all work; connections are closed; no event follows. May be called twice. */
  close(): void;
}

export interface TargetSession {
  counters(): BigUint64Array;
  /** Resolves when the journal has it on disk. */
  recordPass(pass: PassRecord): Promise<void>;
  /** syncfs (fsync where syncfs promises nothing); resolves when everything is on disk, and the journal says so. */
  durable(): Promise<void>;
  /**
   * After durable(), when nothing is to follow: resolves when pvferry's folder is gone, on disk as well. It stays while
   * a file is torn.
   */
  leave(): Promise<void>;
  close(): void;
  /**
   * Closes it, and resolves when no thread of it works any more and all that it held of the volume is given back: only
   * then the volume can be opened again. Nothing but close() may be called after it.
   */
  gone(): Promise<void>;
}

/** Writes nothing, so that there is nothing to wait for at its end. */
export interface LookSession {
  counters(): BigUint64Array;
  close(): void;
}

// -- the addon ------------------------------------------------------------------------------------------------------

export interface Addon {
  version(): string;
  /** BLAKE3 of a text's UTF-8, 64 hex digits. */
  digestText(text: string): string;
  listen(options: ListenOptions, onControl: (connection: Connection) => void): Listener;
  /** Takes a duplicate of fd. TLS, then trust; a refusal in words by the peer rejects with "untrusted". */
  connect(fd: number, options: ConnectOptions): Promise<Connection>;
  /** Takes a duplicate of fd. TLS, then trust. */
  connectUnbound(fd: number, options: UnboundOptions): Promise<UnboundConnection>;
  /** The least so far, as the kernel has it; null for what is no TCP connection. */
  roundTripUs(fd: number): number | null;
  /**
   * TCP to an address, in packets of 536 bytes at most both ways; resolves with a descriptor that the caller closes. For
   * paths on which larger ones may be lost.
   */
  dialInSmallSegments(address: string, port: number, timeoutMs: number): Promise<number>;
  /** Two connected local stream sockets; whoever calls closes both descriptors. */
  socketPair(): number[];
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
  openLook(
    options: LookOptions,
    listener: Listener,
    onEvents: (events: readonly SessionEvent[]) => void,
  ): LookSession;
  /** Reads without a lock, also while a target writes; null when the volume has no journal. */
  readJournal(path: string): Promise<JournalText | null>;
  /**
   * For a copy of this transfer that is finished, and whose target ended before it could remove pvferry's folder:
   * resolves when that is gone, on disk as well, with the pass that finished the copy; null when its journal was gone
   * already. Rejects, and removes nothing, when the journal says anything else by now, or another agent has the volume.
   */
  leaveFinished(path: string, transfer: string): Promise<PassRecord | null>;
}
