import { expect, test } from "vitest";

import { keepSecret, redacted } from "../../../src/core/secrets.ts";

test("secrets leave in none of their forms, and nothing else is touched", () => {
  keepSecret("p:w/%d", "YWxpY2U6cDp3LyVk");
  keepSecret("p:w/%d and more");
  keepSecret("ab");
  keepSecret('say "no"');
  const text = "p:w/%d p%3Aw%2F%25d Basic YWxpY2U6cDp3LyVk; p:w/%d and more; a cab";
  expect(redacted(JSON.stringify({ message: 'say "no"' }))).toBe('{"message":"***"}');
  expect(redacted(text)).toBe("*** *** Basic ***; ***; a cab");
});
