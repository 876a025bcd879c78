/** What a session is asked to do, complete and resolved: nothing here is optional, nothing is read from elsewhere. */

import type { TransferEvent } from "../core/events.ts";
import type { Mode } from "../core/mode.ts";
import type { PassKind } from "../core/receipt.ts";
import type { Role } from "../core/transfer-id.ts";
import type { Addon, Congestion, Existing, MaxDelete, VerifyMode } from "../native/types.ts";
import type { Path } from "../net/path.ts";
import type { RemoteForward } from "../net/remote-forward.ts";

/** One side's certificate folder, read. PEM texts. */
export interface TlsMaterial {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly transfer: string;
  /** The side that this leaf may be. */
  readonly role: Role;
}

export interface SourceRun {
  readonly volume: string;
  readonly mode: Mode;
  readonly pass: PassKind;
  /** To the listener of the target. */
  readonly path: Path;
  readonly tls: TlsMaterial;
  /** To begin with; more where the path needs them. */
  readonly lanes: number;
  readonly lanesMost: number;
  /** What paces the lanes. "auto": the kernel's choice, unless the path loses packets. */
  readonly congestion: Congestion;
  /** Bytes per second over all lanes together; null: as many as can be. */
  readonly bwlimit: number | null;
  readonly scanThreads: number;
  readonly compress: "auto" | "none" | "zstd";
  readonly oneFileSystem: boolean;
  readonly selinux: "keep" | "drop";
  /** Lines of a gitignore file, checked: what they exclude is neither copied nor removed. */
  readonly rules: readonly string[];
  readonly rereads: number;
  readonly verify: VerifyMode;
  readonly connectTimeoutMs: number;
  /** How long to try again after a lost connection; 0 never does. */
  readonly reconnectTimeoutMs: number;
  /** Count everything before the first byte is copied. */
  readonly scanFirst: boolean;
  /** Both sides must name the same; within one transfer it tells volumes apart. */
  readonly volumeName: string;
}

/** Where a target is, for all of its volumes. */
export interface TargetPlace {
  /** Where the source is waited for, or how it is dialled; it speaks first in either case. */
  readonly reach: Reach;
  readonly tls: TlsMaterial;
  /** Called once, with the port in use; 0 when this side dials. */
  readonly onListening: (port: number) => void;
}

/** One volume of a target. */
export interface TargetRun {
  readonly volume: string;
  /** What its certificate names. */
  readonly transfer: string;
  readonly volumeName: string;
  /** Of one session, whatever its source would like. */
  readonly lanesMost: number;
  /** How long to wait for the source after a lost connection; 0 does not. */
  readonly reconnectTimeoutMs: number;
  /** How long to wait for a source when the volume's copy is finished; null: one is sure to come. */
  readonly finishedWaitMs: number | null;
  /** What becomes of entries that the volume holds already. */
  readonly existing: Existing;
  /** How to tell that a file that is there is the same. */
  readonly compare: "size+mtime" | "digest";
  readonly maxDelete: MaxDelete;
  readonly allowEmptySource: boolean;
  /** Write large files that have changed into themselves instead of beside themselves. */
  readonly inplace: boolean;
  /** Between two checkpoints while the copy runs; 0: only at the end. */
  readonly checkpointMs: number;
  /** Go on without the journal that is there, whatever it says. */
  readonly discardJournal: boolean;
  /** The volume is not written to, whatever a source wants: one that wants to copy is turned away. */
  readonly readOnly: boolean;
}

export type Reach =
  | { readonly by: "listening"; readonly host: string; readonly port: number }
  | { readonly by: "dialling"; readonly path: Path }
  | { readonly by: "forwarding"; readonly forward: RemoteForward };

export type Observe = (event: TransferEvent) => void;

/** What a session works with; tests bring their own. */
export interface SessionParts {
  readonly addon: Addon;
  /** This agent's version. */
  readonly agent: string;
}

/** What every step of a session needs. */
export interface SessionContext {
  readonly parts: SessionParts;
  readonly observe: Observe;
  /** The user's: Ctrl-C, SIGTERM. Its reason becomes the session's error. */
  readonly signal: AbortSignal;
}
