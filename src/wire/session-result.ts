/** What one side read or wrote, as it travels in `settled` and `durable`. The fields of SessionResult, in its order. */

import { z } from "zod";

import { blake3, u64, word } from "./fields.ts";

/** Kinds of things not preserved come from a table of some dozens. */
const NOT_PRESERVED_MOST = 256;

const entryCounts = z.strictObject({
  files: u64,
  directories: u64,
  symlinks: u64,
  hardLinks: u64,
  fifos: u64,
  sockets: u64,
  devices: u64,
});

const itemCounts = z.strictObject({
  unreadable: u64,
  "not-written": u64,
  "not-kept": u64,
  changed: u64,
  skipped: u64,
  repaired: u64,
  corrupted: u64,
});

const readBack = z.strictObject({
  filesystem: word,
  method: z.enum(["direct", "dropped", "impossible"]),
  files: u64,
  bytes: u64,
});

export const sessionResult = z.strictObject({
  entries: entryCounts,
  bytes: u64,
  movedBytes: u64,
  matchedBytes: u64,
  comparedFiles: u64,
  assumedFiles: u64,
  deleted: u64,
  excluded: u64,
  differences: z.strictObject({ extra: u64, missing: u64, replaced: u64, attributes: u64 }),
  wouldMoveBytes: u64,
  readBack: readBack.nullable(),
  notRemoved: u64,
  wireBytes: u64,
  resent: u64,
  roots: z.strictObject({ content: blake3, metadata: blake3 }),
  itemCounts,
  notPreserved: z
    .array(z.strictObject({ kind: word, count: u64 }))
    .max(NOT_PRESERVED_MOST)
    .readonly(),
});
