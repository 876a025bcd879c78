import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { ListenerCounts } from "../../../src/native/types.ts";
import { Strangers } from "../../../src/session/strangers.ts";

const HOUR_MS = 3_600_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A listener's counters, and what was said of them so far. */
function watched() {
  const counts = { accepted: 0, authenticated: 0, handshakesFailed: 0, refused: 0, displaced: 0 };
  const said: string[] = [];
  const strangers = new Strangers(
    (): ListenerCounts => ({ ...counts }),
    (message) => said.push(message),
  );
  return { counts, said, strangers };
}

test("the first one is told within seconds, and why", () => {
  const { counts, said, strangers } = watched();
  vi.advanceTimersByTime(HOUR_MS);
  expect(said).toEqual([]);
  counts.refused = 1;
  vi.advanceTimersByTime(2_000);
  expect(said).toEqual([
    "Turned away 1 connection: 1 with the certificate of another transfer or of the wrong side.",
  ]);
  strangers.close();
});

test("a scan that does not end gets few lines, and every connection is in one of them", () => {
  const { counts, said, strangers } = watched();
  for (let second = 0; second < 24 * 3_600; second++) {
    counts.handshakesFailed += 10;
    if (second % 100 === 0) counts.displaced += 1;
    vi.advanceTimersByTime(1_000);
  }
  expect(said.length).toBeGreaterThan(24);
  expect(said.length).toBeLessThan(200);
  counts.accepted += 1;
  vi.advanceTimersByTime(HOUR_MS);
  const told = said.map((line) =>
    Number(/Turned away ([\d,]+)/.exec(line)?.[1]?.replaceAll(",", "")),
  );
  expect(told.reduce((sum, count) => sum + count, 0)).toBe(864_000 + 864);
  strangers.close();
});

test("nothing is said once it is closed", () => {
  const { counts, said, strangers } = watched();
  strangers.close();
  counts.handshakesFailed = 5;
  vi.advanceTimersByTime(HOUR_MS);
  expect(said).toEqual([]);
});
