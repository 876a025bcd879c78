import fc from "fast-check";
import { expect, test } from "vitest";

import { TRANSFER_PHASES, type TransferEvent } from "../../../src/core/events.ts";
import { barLine, farText, progressLine } from "../../../src/observe/progress-text.ts";
import {
  bytesPerSecond,
  FIRST_SNAPSHOT,
  reduce,
  remainingMs,
  type Snapshot,
} from "../../../src/observe/snapshot.ts";

function counters(bytesDone: number, bytesTotal: number | null, filesDone = 0): TransferEvent {
  return {
    type: "counters",
    bytesDone,
    bytesTotal,
    filesDone,
    entriesScanned: filesDone * 2,
    entriesRechecked: 0,
    lanesAlive: 2,
    resent: 0,
  };
}

function after(...events: readonly TransferEvent[]): Snapshot {
  return events.reduce(
    (snapshot, event, at) => reduce(snapshot, event, at * 1_000),
    FIRST_SNAPSHOT,
  );
}

const COPYING: TransferEvent = { type: "phase", phase: "copy" };

test("nothing is promised before the whole is known", () => {
  const snapshot = after(COPYING, counters(5e6, null, 3));
  expect(snapshot.percent).toBeNull();
  expect(progressLine(snapshot)).toBe("copying, 5.00 MB, 3 files, 6 entries found so far");
});

test("everything copied is 99 %, everything durable is 100 %", () => {
  const copied = after(COPYING, counters(10, 10, 1));
  expect(copied.percent).toBe(99);
  const flushing = reduce(copied, { type: "phase", phase: "durable" }, 0);
  expect(flushing.percent).toBe(99);
  expect(reduce(flushing, { type: "phase", phase: "verdict" }, 0).percent).toBe(100);
});

test("a new session begins where it is, and at nothing", () => {
  const lost = after(COPYING, counters(8, 10, 3), { type: "phase", phase: "connect" });
  expect(lost.percent).toBe(80);
  const again = reduce(reduce(lost, COPYING, 0), { type: "session", number: 2 }, 0);
  expect(again).toEqual({ ...FIRST_SNAPSHOT, phase: "copy" });
  expect(reduce(again, counters(1, 10, 1), 0).percent).toBe(10);
});

test("a volume without bytes has no percentage until it is durable", () => {
  const empty = after(COPYING, counters(0, 0, 7));
  expect(empty.percent).toBeNull();
  expect(reduce(empty, { type: "phase", phase: "verdict" }, 0).percent).toBe(100);
});

test("whatever happens, nothing goes back and 100 % means durable", () => {
  const event = fc.oneof(
    fc.constantFrom(...TRANSFER_PHASES).map((phase): TransferEvent => ({ type: "phase", phase })),
    fc
      .tuple(fc.nat(), fc.option(fc.nat()), fc.nat())
      .map(([done, total, files]) => counters(done, total, files)),
  );
  fc.assert(
    fc.property(fc.array(event), (events) => {
      let last = FIRST_SNAPSHOT;
      let durable = false;
      for (const [at, each] of events.entries()) {
        const next = reduce(last, each, at * 200);
        durable ||= each.type === "phase" && each.phase === "verdict";
        expect(next.percent ?? -1).toBeGreaterThanOrEqual(last.percent ?? -1);
        expect(next.bytesDone).toBeGreaterThanOrEqual(last.bytesDone);
        expect(next.filesDone).toBeGreaterThanOrEqual(last.filesDone);
        expect(next.percent === 100).toBe(durable);
        last = next;
      }
    }),
  );
});

test("rate and remaining time are of the last ten seconds", () => {
  const steady = after(COPYING, ...[0, 1, 2, 3].map((step) => counters(step * 1e6, 10e6)));
  expect(bytesPerSecond(steady)).toBe(1e6);
  expect(remainingMs(steady)).toBe(7_000);
  expect(progressLine(steady)).toContain("1.00 MB/s, 7s left");
  const stalled = [14, 16, 20].reduce(
    (snapshot, second) => reduce(snapshot, counters(3e6, 10e6), second * 1_000),
    steady,
  );
  expect(bytesPerSecond(stalled)).toBe(0);
  expect(remainingMs(stalled)).toBeNull();
  expect(bytesPerSecond(after(COPYING, counters(1, 2)))).toBeNull();
});

test("what is waited for is said until something moves", () => {
  const waiting = after({ type: "waiting", for: "the target at host:1" });
  expect(progressLine(waiting)).toBe("waiting for the target at host:1");
  expect(progressLine(reduce(waiting, { type: "phase", phase: "hello" }, 0))).toBe("greeting");
});

test("how far a transfer was", () => {
  expect(farText(FIRST_SNAPSHOT)).toBeNull();
  expect(farText(after(counters(2e9, null, 1_500)))).toBe("2.00 GB in 1,500 files");
});

test("the bar fits its terminal", () => {
  const half = after(COPYING, counters(5e8, 1e9, 12));
  expect(barLine(half, 120)).toMatch(
    /^copying \[={10} {10}\] {2}50 % {2}500 MB of 1\.00 GB, 12 files/,
  );
  for (const columns of [1, 10, 40, 60, 80, 200]) {
    expect(barLine(half, columns).length).toBeLessThan(Math.max(columns, 2));
    expect(barLine(FIRST_SNAPSHOT, columns).length).toBeLessThan(Math.max(columns, 2));
  }
});

test("a file system that holds more data than it said is no reason to show more than the whole", () => {
  const snapshot = after(COPYING, counters(30, 20, 1));
  expect(snapshot).toMatchObject({ bytesDone: 30, bytesTotal: 30, percent: 99 });
  expect(progressLine(snapshot)).toContain("30 B of 30 B");
});
