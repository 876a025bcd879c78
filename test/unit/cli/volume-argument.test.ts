import path from "node:path";

import { expect, test } from "vitest";

import { volumeArgument } from "../../../src/cli/volume-argument.ts";
import { refusalOf } from "../../bed/refusal.ts";

test("a volume is made absolute, and a trailing slash means nothing", () => {
  expect(volumeArgument("data/", "SRC")).toBe(path.resolve("data"));
});

test.for([undefined, "", "a\0b"])("%j is no volume", (typed) => {
  expect(refusalOf(() => volumeArgument(typed, "DST"))).toMatchObject({ code: 2 });
});

test("a volume's path that is not UTF-8 is refused with what helps", () => {
  const refusal = refusalOf(() => volumeArgument("/mnt/\uFFFD", "SRC"));
  expect(refusal).toMatchObject({ code: 2 });
  expect(refusal.message).toContain("SRC: the path /mnt/\uFFFD is not UTF-8");
  expect(refusal.next).toContain("mount --bind");
});
