/** Writes ordinary files in bulk, straight from memory; entries for their metadata come back. */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

import { directory, entry, ORDINARY_MTIME, type Entry, type Metadata } from "./entry.ts";

const BYTES_AT_ONCE = 1 << 20;
const DAY = 86_400_000_000_000n;

/** Gives the next `length` bytes of a file. */
export type Bytes = (length: number) => Buffer;

export interface BulkWriter {
  /** Writes a file, with the directories above it, and remembers it. Paths are plain ASCII. */
  readonly file: (path: string, size: number, bytes: Bytes, metadata?: Partial<Metadata>) => void;
  /** A file of this size whose data lies only at the given offsets, one block each. */
  readonly sparse: (path: string, size: number, offsets: readonly number[], block: Bytes) => void;
  /** Everything written, parents before their children. */
  readonly entries: () => Entry[];
}

const SPARSE_BLOCK = 65_536;

/** Times spread over a few years, so that they differ and yet are the same on every run. */
function spreadTime(index: number): bigint {
  return ORDINARY_MTIME - (BigInt(index * 7919) % 1500n) * DAY + BigInt(index) * 1_000_003n;
}

export function bulkWriter(root: string, owner: Partial<Metadata> = {}): BulkWriter {
  const directories = new Map<string, Entry>();
  const files: Entry[] = [];
  const remember = (path: string): void => {
    if (path === "." || directories.has(path)) return;
    remember(dirname(path));
    mkdirSync(join(root, path), { recursive: true });
    directories.set(path, directory(path, { ...owner, mtime: spreadTime(directories.size) }));
  };
  const create = (path: string, metadata: Partial<Metadata>): number => {
    remember(dirname(path));
    const mtime = spreadTime(files.length);
    files.push(entry(path, { type: "written" }, { ...owner, mtime, ...metadata }));
    return openSync(join(root, path), "w", 0o600);
  };
  return {
    file: (path, size, bytes, metadata = {}) => {
      const descriptor = create(path, metadata);
      for (let left = size; left > 0; left -= BYTES_AT_ONCE) {
        writeSync(descriptor, bytes(Math.min(left, BYTES_AT_ONCE)));
      }
      closeSync(descriptor);
    },
    sparse: (path, size, offsets, block) => {
      const descriptor = create(path, {});
      ftruncateSync(descriptor, size);
      for (const offset of offsets) {
        writeSync(descriptor, block(SPARSE_BLOCK), 0, SPARSE_BLOCK, offset);
      }
      closeSync(descriptor);
    },
    entries: () => [...directories.values(), ...files],
  };
}
