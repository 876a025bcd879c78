import { expect, test } from "vitest";

import { barLine, progressLine } from "../../../src/observe/progress-text.ts";
import { FIRST_SNAPSHOT, type Snapshot } from "../../../src/observe/snapshot.ts";

const COPYING: Snapshot = {
  ...FIRST_SNAPSHOT,
  phase: "copy",
  bytesDone: 3_000_000,
  bytesTotal: 6_000_000,
  filesDone: 2,
  percent: 50,
};

test("what was sent again is bytes", () => {
  const line = progressLine({ ...COPYING, resent: 1_500_000 });
  expect(line).toBe("copying, 50 %, 3.00 MB of 6.00 MB, 2 files, 1.50 MB resent");
});

test("the closing walk counts entries: no byte moves any more", () => {
  const closing: Snapshot = { ...COPYING, phase: "close", percent: 99, entriesRechecked: 1_234 };
  expect(progressLine(closing)).toBe("closing walk, 99 %, 1,234 entries looked at again");
  expect(barLine(closing, 100)).toBe(
    "closing walk [=================== ]  99 %  1,234 entries looked at again",
  );
});
