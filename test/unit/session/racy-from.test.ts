import { expect, test } from "vitest";

import type { JournalText } from "../../../src/native/journal-types.ts";
import { racyFrom } from "../../../src/session/racy-from.ts";

const NOW = Date.parse("2026-11-22T12:00:00.000Z");

function journal(epoch: number, secondsAgo: number): JournalText {
  const began = { seconds: NOW / 1_000 - secondsAgo, nanoseconds: 250_000_000 };
  const session = { epoch, bootId: "", began, volumeClock: began, doubt: null, agent: "" };
  return {
    path: "/v/.pvferry/journal",
    transfer: "t/v",
    bytes: 1,
    heldBy: null,
    isFinished: false,
    doubt: null,
    sessions: [session, { ...session, epoch: epoch + 1 }],
    checkpoints: [],
    passes: [],
    parts: [],
    torn: [],
  };
}

test("two seconds before the first session, when both clocks agree", () => {
  const moment = racyFrom(journal(1, 100), new Date(NOW).toISOString(), NOW);
  expect(moment).toEqual({ seconds: NOW / 1_000 - 102, nanoseconds: 250_000_000 });
});

test("the source's clock counts, whichever way it is off", () => {
  const ahead = racyFrom(journal(1, 100), new Date(NOW + 60_500).toISOString(), NOW);
  expect(ahead).toEqual({ seconds: NOW / 1_000 - 102 + 60, nanoseconds: 750_000_000 });
  const behind = racyFrom(journal(1, 100), new Date(NOW - 3_600_000).toISOString(), NOW);
  expect(behind.seconds).toBe(NOW / 1_000 - 102 - 3_600);
});

test("everything, when nobody knows when the first session began", () => {
  const clock = new Date(NOW).toISOString();
  expect(racyFrom(journal(7, 100), clock, NOW).seconds).toBeLessThan(-1e10);
  expect(racyFrom(null, clock, NOW).seconds).toBeLessThan(-1e10);
});
