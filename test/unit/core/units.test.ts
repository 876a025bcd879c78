import fc from "fast-check";
import { expect, test } from "vitest";

import {
  bytesText,
  clockText,
  countText,
  durationText,
  parseDurationMs,
  quantityText,
} from "../../../src/core/units.ts";

test.for([
  ["30s", 30_000],
  ["10m", 600_000],
  ["1h30m", 5_400_000],
  ["250ms", 250],
  ["0s", 0],
] as const)("%s is a duration", ([text, ms]) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test.for(["", "10", "10 s", "-1s", "1.5m", "s", "10d", "1s!", "9999999999999999h"])(
  "%j is no duration",
  (text) => {
    expect(parseDurationMs(text)).toBeNull();
  },
);

test("a duration's text reads back", () => {
  expect(durationText(600_000)).toBe("10m");
  fc.assert(
    fc.property(fc.nat(), (ms) => {
      expect(parseDurationMs(durationText(ms))).toBe(ms);
    }),
  );
});

test.for([
  [0, "0 B"],
  [999, "999 B"],
  [1_000, "1.00 kB"],
  [12_345, "12.3 kB"],
  [999_499, "999 kB"],
  [999_500, "1.00 MB"],
  [460e6, "460 MB"],
  [1.25e9, "1.25 GB"],
  [2 ** 63, "9.22 EB"],
] as const)("%d bytes are %s", ([bytes, text]) => {
  expect(bytesText(bytes)).toBe(text);
});

test("clocks, counts and quantities", () => {
  expect([4_000, 187_000, 3_729_000].map(clockText)).toEqual(["4s", "3:07", "1:02:09"]);
  expect([1, 12, 1234, 1234567].map(countText)).toEqual(["1", "12", "1,234", "1,234,567"]);
  expect(quantityText(1, "file")).toBe("1 file");
  expect(quantityText(2_000, "entry", "entries")).toBe("2,000 entries");
});
