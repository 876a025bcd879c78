import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import fc from "fast-check";
import { expect, test } from "vitest";

import { checkLine, uncheckableText } from "../../../src/cli/digest-lines.ts";
import type { FileDigest } from "../../../src/native/types.ts";
import { describeWith } from "../../bed/needs.ts";
import { scratch } from "../../bed/scratch.ts";

const DIGEST = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

function named(name: string, digest = DIGEST): FileDigest {
  return { path: name, pathBytes: null, digest, form: "plain" };
}

test("plain names stand as they are, backslashes and newlines are escaped", () => {
  expect(checkLine(named("a b"))).toBe(`${DIGEST}  a b`);
  expect(checkLine(named("a\\b\nc"))).toBe(`\\${DIGEST}  a\\\\b\\nc`);
});

test("what b3sum cannot check goes elsewhere, told for people", () => {
  const bytes: FileDigest = { path: null, pathBytes: "/w==", digest: DIGEST, form: "plain" };
  expect(checkLine(bytes)).toBeNull();
  expect(uncheckableText(bytes)).toBe(`${DIGEST}  \\xff (name that b3sum cannot check)`);
  expect(checkLine(named("a\uFFFD"))).toBeNull();
  const block: FileDigest = { ...named("big\n"), form: "block" };
  expect(checkLine(block)).toBeNull();
  expect(uncheckableText(block)).toBe(`${DIGEST}  big\\n (block form)`);
});

describeWith({ programs: ["b3sum"] }, "judged by b3sum", () => {
  function accepts(folder: string, lines: readonly string[]): string {
    const input = `${lines.join("\n")}\n`;
    return execFileSync("b3sum", ["--check"], { cwd: folder, input, encoding: "utf8" });
  }

  const NAMES = [
    "plain",
    "new\nline",
    "back\\slash",
    "\\n",
    "cr\rhere",
    " lead",
    "trail ",
    "-x",
    "é",
    "\u001B[31m",
  ];

  test("accepts every line that we print, for the file that is meant", () => {
    using files = scratch();
    const folder = files.directory("volume/sub\\dir\n");
    for (const name of NAMES) writeFileSync(path.join(folder, name), "");
    const lines = NAMES.map((name) => checkLine(named(`sub\\dir\n/${name}`)) ?? "");
    expect(accepts(files.at("volume"), lines).match(/: OK\n/g)).toHaveLength(NAMES.length);
  });

  test("whatever the name", () => {
    using files = scratch();
    const name = fc
      .string({ unit: "grapheme-composite", minLength: 1, maxLength: 20 })
      .filter((text) => !/[/\0\uFFFD]/.test(text) && ![".", ".."].includes(text))
      .filter((text) => Buffer.byteLength(text) <= 255 && text.isWellFormed());
    let runs = 0;
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 20 }), (names) => {
        runs += 1;
        const folder = files.at(`${runs}`);
        mkdirSync(folder);
        for (const each of names) writeFileSync(path.join(folder, each), "");
        const lines = names.map((each) => checkLine(named(each)) ?? "");
        expect(accepts(folder, lines).match(/: OK\n/g)).toHaveLength(names.length);
      }),
      { numRuns: 30 },
    );
  });
});
