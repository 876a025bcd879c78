/** What is copied, and what is there before. */

/** How the target comes to hold an earlier state of the source. */
export interface Earlier {
  /** Makes the whole of it, once, before the source changes. */
  readonly make: (source: string, target: string) => void;
  /** Changes the source. What is needed to bring the target back goes to `spare`, a folder on the same file system. */
  readonly change: (source: string, spare: string) => void;
  /** Brings the target back after a run. */
  readonly restore: (target: string, spare: string) => void;
}

export interface BenchSet {
  readonly what: string;
  /** Data of the source: what MB/s counts. */
  readonly bytes: number;
  readonly files: number;
  /** What the tmpfs may take, bytes and inodes. */
  readonly room: number;
  readonly inodes: number;
  /** Bytes that a contender may write in one run. */
  readonly written: number;
  readonly write: (source: string) => Promise<void> | void;
  /** None: the target is empty. */
  readonly earlier?: Earlier;
  /** A first try is killed when the target holds this many bytes; what is measured is the second. */
  readonly interruptedAt?: number;
  /** What pvferry is told besides. */
  readonly flags: readonly string[];
}
