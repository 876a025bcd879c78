import { expect, test } from "vitest";

import type { Receipt } from "../../../src/core/receipt.ts";
import type { Item } from "../../../src/native/types.ts";
import { receiptText } from "../../../src/observe/receipt-text.ts";

const NO_ITEMS = {
  unreadable: 0,
  "not-written": 0,
  "not-kept": 0,
  changed: 0,
  skipped: 0,
  repaired: 0,
  corrupted: 0,
};
const ROOTS = { content: "c".repeat(64), metadata: "d".repeat(64) };

const KEPT: Receipt = {
  receipt: 1,
  exitCode: 0,
  exitName: "ok",
  message: "Everything was kept.",
  next: "Nothing is left to do.",
  transfer: "t",
  volume: "volume",
  mode: "copy",
  pass: { kind: "cutover", number: 3, session: "5e55" },
  previous: "e".repeat(64),
  agents: { source: "0.1.0", target: "0.1.0" },
  startedAt: "2026-11-22T17:00:00.000Z",
  endedAt: "2026-11-22T17:00:04.100Z",
  durationMs: 4_100,
  entries: {
    files: 1_234,
    directories: 1,
    symlinks: 0,
    hardLinks: 2,
    fifos: 1,
    sockets: 0,
    devices: 0,
  },
  logicalBytes: 1.25e9,
  deleted: 0,
  rules: [],
  excluded: { source: 0, target: 0 },
  knownBy: { streamed: 1_234, readBack: 0, compared: 0, assumed: 0, unverified: 0 },
  verify: { mode: "stream", readBack: null },
  differences: null,
  movedBytes: 1.2e9,
  matchedBytes: 0,
  wireBytes: 9e8,
  bytesPerSecond: 292_682_927,
  sessions: 1,
  lanes: 2,
  reconnects: 0,
  resent: 0,
  roots: { source: ROOTS, target: ROOTS },
  itemCounts: { source: NO_ITEMS, target: NO_ITEMS },
  notPreserved: { source: [{ kind: "security.selinux", count: 1_000 }], target: [] },
  items: [],
  itemsOmitted: 0,
};

test("a good transfer on a few lines", () => {
  expect(receiptText(KEPT).split("\n")).toEqual([
    "Everything was kept.",
    "  entries      1,234 files, 1 directory, 2 hard links, 1 FIFO",
    "  moved        1.20 GB of 1.25 GB, 900 MB over 2 lanes",
    "  cutover pass number 3, session 5e55",
    "  time         4.1s, 293 MB/s, from 2026-11-22T17:00:00.000Z",
    `  content      ${ROOTS.content} (both sides)`,
    `  metadata     ${ROOTS.metadata} (both sides)`,
    "  left out     security.selinux: 1,000",
  ]);
});

test("a stage pass says what comes next, though all is well", () => {
  const next = "Stop the application, then run again with --pass cutover.";
  const text = receiptText({ ...KEPT, next, pass: { kind: "stage", number: 1, session: "5e55" } });
  expect(text).toContain("\n  stage pass   number 1, session 5e55\n");
  expect(text.endsWith(`\n${next}`)).toBe(true);
});

test("what went wrong: both digests, the first items escaped, how many more, and what next", () => {
  const items = Array.from({ length: 12 }, (_, number): Item => ({
    side: "source",
    class: "unreadable",
    path: `file\n${number}`,
    pathBytes: null,
    what: "data",
    errno: "EIO",
    detail: "",
  }));
  const text = receiptText({
    ...KEPT,
    exitCode: 40,
    next: "Look at the named entries.",
    roots: { source: ROOTS, target: { ...ROOTS, content: "e".repeat(64) } },
    itemCounts: { source: { ...NO_ITEMS, unreadable: 15 }, target: NO_ITEMS },
    sessions: 2,
    reconnects: 1,
    resent: 3_000,
    matchedBytes: 4e9,
    items,
    itemsOmitted: 3,
  });
  expect(text).toContain(`${"c".repeat(64)} (source)\n               ${"e".repeat(64)} (target)`);
  expect(text).toContain(
    "4.00 GB of changed files matched, 2 sessions, 1 reconnect, 3.00 kB resent",
  );
  expect(text).toContain("items        source unreadable file\\n0: data (EIO)");
  expect(text).not.toContain("file\\n10");
  expect(text).toContain("and 5 more (--items FILE has all)");
  expect(text.endsWith("\nLook at the named entries.")).toBe(true);
});

test("an empty volume", () => {
  const none = {
    files: 0,
    directories: 0,
    symlinks: 0,
    hardLinks: 0,
    fifos: 0,
    sockets: 0,
    devices: 0,
  };
  expect(receiptText({ ...KEPT, entries: none })).toContain("entries      none");
});

test("a path of 8 KB takes one short line of the text, and is whole in the receipt", () => {
  const path = "deep/".repeat(1_600);
  const item: Item = {
    side: "source",
    class: "unreadable",
    path,
    pathBytes: null,
    what: "data",
    errno: "EACCES",
    detail: "Permission denied (EACCES)",
  };
  const receipt: Receipt = {
    ...KEPT,
    exitCode: 40,
    itemCounts: { source: { ...NO_ITEMS, unreadable: 1 }, target: NO_ITEMS },
    items: [item],
  };
  const line = receiptText(receipt)
    .split("\n")
    .find((text) => text.includes("unreadable"));
  expect(line).toMatch(/bytes left out.*: data: Permission denied \(EACCES\)$/);
  expect(line?.length).toBeLessThan(400);
  expect(JSON.stringify(receipt)).toContain(path);
});
