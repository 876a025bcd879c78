import { Buffer } from "node:buffer";

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import {
  bytesOfName,
  escapeText,
  harmlessText,
  nameFromBytes,
  printableName,
  shortName,
} from "../../../src/core/names.ts";

const shown = (bytes: readonly number[]): string =>
  printableName(nameFromBytes(Uint8Array.from(bytes)));

describe("names as bytes", () => {
  test("any bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const name = nameFromBytes(bytes);
        expect((name.path === null) !== (name.pathBytes === null)).toBe(true);
        expect(Buffer.compare(bytesOfName(name), bytes)).toBe(0);
      }),
    );
  });

  test("a view of a larger buffer is only itself", () => {
    const bytes = Buffer.from("xxabcxx").subarray(2, 5);
    expect(nameFromBytes(bytes)).toEqual({ path: "abc", pathBytes: null });
  });
});

describe("names on a terminal", () => {
  test.for([
    ["plain name.txt", "plain name.txt"],
    ["é 日本 🙂", "é 日本 🙂"],
    ["a\nb\tc\rd", "a\\nb\\tc\\rd"],
    ["back\\slash", "back\\\\slash"],
    ["\u001B[31mred", "\\x1b[31mred"],
    ["\u007F\u0085\u009B", "\\x7f\\u0085\\u009b"],
    ["abc\u202Egpj.exe", "abc\\u202egpj.exe"],
    ["\u2066\u2069\u200F\uFEFF", "\\u2066\\u2069\\u200f\\ufeff"],
    ["\u2028\u2029", "\\u2028\\u2029"],
    ["\u{E0041}", "\\u{e0041}"],
    ["\uD800", "\\ud800"],
  ] as const)("%j", ([text, expected]) => {
    expect(escapeText(text)).toBe(expected);
  });

  test("bytes that are no UTF-8 stand as \\xNN among the characters that are", () => {
    expect(shown([0x61, 0xff, 0xc3, 0xa9, 0x0a])).toBe("a\\xffé\\n");
    expect(shown([0xe2, 0x82])).toBe("\\xe2\\x82");
    // An overlong form, half of a surrogate pair, beyond the last code point.
    expect(shown([0xc0, 0xaf])).toBe("\\xc0\\xaf");
    expect(shown([0xed, 0xa0, 0x80])).toBe("\\xed\\xa0\\x80");
    expect(shown([0xf5, 0x80, 0x80, 0x80])).toBe("\\xf5\\x80\\x80\\x80");
  });

  test("whatever the bytes, one harmless line that names no two files alike", () => {
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6 }), (bytes) => {
        const text = printableName(nameFromBytes(bytes));
        expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        const hex = Buffer.from(bytes).toString("hex");
        expect(seen.get(text) ?? hex).toBe(hex);
        seen.set(text, hex);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a very long path", () => {
  const path = `top/${"deep/".repeat(1_600)}end`;

  test("is seen by its two ends, with the number of bytes between them", () => {
    const seen = shortName({ path, pathBytes: null });
    expect(seen).toMatch(/^top\/deep\/.*\.\.\.\(7,767 bytes left out\)\.\.\..*deep\/end$/);
    expect(seen.length).toBeLessThan(300);
  });

  test("is whole when the ends would say no less", () => {
    const whole = "n".repeat(360);
    expect(shortName({ path: whole, pathBytes: null })).toBe(whole);
  });

  test("is never cut within a character, and what is left out is counted in bytes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 400, maxLength: 600 }), (text) => {
        const seen = shortName({ path: text, pathBytes: null });
        const [head = "", count = "", tail = ""] =
          /^(.*)\.\.\.\(([\d,]+) bytes left out\)\.\.\.(.*)$/su.exec(seen)?.slice(1) ?? [];
        const escaped = escapeText(text);
        expect(escaped.startsWith(head) && escaped.endsWith(tail)).toBe(true);
        expect(seen).not.toMatch(/\\x[89a-f]/);
        const middle = escaped.slice(head.length, escaped.length - tail.length);
        expect(escapeText(text)).toBe(`${head}${middle}${tail}`);
        expect(Number(count.replaceAll(",", ""))).toBeGreaterThan(100);
      }),
    );
  });

  test("may be bytes that are not UTF-8", () => {
    const bytes = Buffer.alloc(1_000, 0xff);
    const seen = shortName(nameFromBytes(bytes));
    expect(seen).toMatch(/^(?:\\xff)+\.\.\.\(7\d\d bytes left out\)\.\.\.(?:\\xff)+$/);
  });
});

test("a peer's sentence keeps the names in it as they were escaped", () => {
  expect(harmlessText("It holds a\\nb.\u001b[2J\n")).toBe("It holds a\\nb.\\x1b[2J\\n");
});
