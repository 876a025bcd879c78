import { expect, test } from "vitest";

import { errorDocument, PvferryError, toPvferryError } from "../../../src/core/errors.ts";
import { errnoOf, fileError } from "../../../src/core/system-errors.ts";

test("an error's document has code, name, message and next, and no more", () => {
  const error = new PvferryError({ code: 31, message: "It is gone.", next: "Mount it.", cause: 1 });
  expect(errorDocument(error)).toEqual({
    error: { code: 31, name: "volume", message: "It is gone.", next: "Mount it." },
  });
});

test("whatever else is thrown is a bug that says what to attach", () => {
  const error = toPvferryError(new TypeError("x is undefined"));
  expect(error.code).toBe(1);
  expect(error.cause).toBeInstanceOf(TypeError);
  expect(error.message).toContain("x is undefined");
  expect(error.next).toContain("-vv");
  expect(toPvferryError("text").message).toContain("text");
  expect(toPvferryError(error)).toBe(error);
});

test.for([
  ["ENOSPC", 30],
  ["EDQUOT", 30],
  ["EIO", 32],
  ["EACCES", 2],
  ["EWHATEVER", 2],
] as const)("a file that cannot be written: %s is code %i", ([code, exit]) => {
  const cause = Object.assign(new Error("raw text"), { code });
  const error = fileError("write the receipt to", "a\u001Bb", cause);
  expect(error.code).toBe(exit);
  expect(error.message).toMatch(/^Cannot write the receipt to a\\x1bb: .* \(E[A-Z]+\)\.$/);
});

test("errnoOf tells only what a system call left", () => {
  expect(errnoOf(Object.assign(new Error(), { code: "EIO" }))).toBe("EIO");
  expect(errnoOf(new Error())).toBeNull();
  expect(errnoOf(null)).toBeNull();
});
