import { symlinkSync } from "node:fs";

import { expect, test } from "vitest";

import { relationOf } from "../../../src/host/same-folder.ts";
import { scratch } from "../../bed/scratch.ts";

test("folders apart, the same, and one inside the other, through links too", () => {
  using files = scratch();
  const a = files.directory("a");
  const inner = files.directory("a/b/c");
  const b = files.directory("ab");
  symlinkSync(a, files.at("link"));
  symlinkSync(inner, files.at("deep"));
  expect(relationOf(a, b)).toBe("apart");
  expect(relationOf(a, files.at("link"))).toBe("same");
  expect(relationOf(a, files.at("link/b"))).toBe("second-inside-first");
  expect(relationOf(files.at("deep"), a)).toBe("first-inside-second");
  expect(relationOf(files.path, b)).toBe("second-inside-first");
});
