import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { controlMessageValue, parseControlMessage } from "../../../src/wire/control-messages.ts";
import { u64 } from "../../../src/wire/fields.ts";
import { commonVersion } from "../../../src/wire/hello.ts";

const protocolError: unknown = expect.objectContaining({ code: 23 });

const hello = {
  type: "hello",
  seq: 0,
  magic: "pvferry",
  versions: { min: 1, max: 1 },
  features: [],
  transfer: "t",
  volume: "v",
  agent: "0.1.0",
  session: "0".repeat(32),
  epoch: "1",
  wants: "copy",
};

describe("control messages", () => {
  it("drop unknown fields of a hello, and of nothing else", () => {
    expect(parseControlMessage({ ...hello, later: 1 })).toEqual({ ...hello, epoch: 1 });
    expect(() => parseControlMessage({ type: "ping", seq: 0, later: 1 })).toThrow(protocolError);
  });

  it.each([null, 7, "hello", [], {}, { type: 1 }, { type: "no-such" }, { type: "__proto__" }])(
    "refuse %j",
    (value) => {
      expect(() => parseControlMessage(value)).toThrow(protocolError);
    },
  );

  it("say where a message is wrong", () => {
    expect(() => parseControlMessage({ ...hello, versions: { min: 1, max: "x" } })).toThrow(
      /malformed "hello" message at versions\.max/,
    );
  });

  it.each(["-1", "01", "1e3", "18446744073709551616", "", "0x1", " 1"])(
    "refuse the 64-bit integer %j",
    (text) => {
      expect(u64.safeParse(text).success).toBe(false);
    },
  );

  it("carry every safe integer exactly, and more than 2^53 nearly", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (number) => {
        expect(u64.encode(number)).toBe(String(number));
        expect(u64.decode(String(number))).toBe(number);
      }),
    );
    expect(u64.decode("9223372036853727232")).toBe(9_223_372_036_853_727_232);
    expect(u64.encode(2 ** 65)).toBe("18446744073709551615");
  });

  it("number everything but a refusal", () => {
    expect(controlMessageValue({ type: "ping" }, 7)).toEqual({ type: "ping", seq: 7 });
    const refusal = { type: "refused", code: 23, message: "m", next: "n" } as const;
    expect(controlMessageValue(refusal, 7)).toEqual(refusal);
  });
});

describe("version ranges", () => {
  it.each([
    [1, 1, 1, 1, 1],
    [1, 3, 2, 5, 3],
    [2, 5, 1, 3, 3],
    [1, 1, 2, 2, null],
    [4, 6, 1, 3, null],
  ])("%d-%d and %d-%d meet at %s", (min, max, otherMin, otherMax, common) => {
    expect(commonVersion({ min, max }, { min: otherMin, max: otherMax })).toBe(common);
  });
});
