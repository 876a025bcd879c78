import fc from "fast-check";
import { expect, test } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import { clause, sentence } from "../../../src/core/sentences.ts";
import { fileError } from "../../../src/core/system-errors.ts";

test.for([
  ["It is so", "It is so."],
  ["It is so.", "It is so."],
  ["Is it so?", "Is it so?"],
  ["unknown option '--too' (Did you mean --to?)", "unknown option '--too' (Did you mean --to?)"],
  ["Nothing listens (connection refused)", "Nothing listens (connection refused)."],
])("%s becomes a sentence", ([text = "", whole]) => {
  expect(sentence(text)).toBe(whole);
});

test("no message ends with two full stops, wherever its end came from", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z )]{1,20}$/), fc.boolean(), (words, stop) => {
      const inner = `${words}${stop ? "." : ""}`;
      const whole = sentence(`The other side said: ${clause(inner)}`);
      expect(whole).toMatch(/[^.]\.$/);
      expect(new PvferryError({ code: 20, message: inner, next: inner }).message).toMatch(
        /[^.]\.$/,
      );
    }),
  );
});

test("a system's own sentence is not given a second full stop", () => {
  const error = fileError("read", "tls.key", new Error("It is larger than any key."));
  expect(error.message).toBe("Cannot read tls.key: It is larger than any key.");
});

test("a system call's symbol is said once", () => {
  const cause = Object.assign(new Error("EMFILE: too many open files, open 'x'"), {
    code: "EMFILE",
  });
  expect(fileError("read", "x", cause).message.match(/EMFILE/g)).toHaveLength(1);
});
