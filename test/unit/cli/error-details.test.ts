import { createServer } from "node:net";

import { describe, expect, it } from "vitest";

import { errorDetails } from "../../../src/cli/error-details.ts";
import { PvferryError } from "../../../src/core/errors.ts";

function failure(cause: unknown): PvferryError {
  return new PvferryError({ code: 21, message: "It failed", next: "Do this", cause });
}

describe("an error with all that it came from", () => {
  it("has stacks and facts, and nothing of what a library hangs on its own", () => {
    const packet = Buffer.from("the password");
    const options = { socket: createServer(), proxy: { password: "s3cr3t" } };
    const library = Object.assign(new Error("not let in"), { errno: -111, options, packet });
    const text = errorDetails(failure(library));
    expect(text).toMatch(/^PvferryError: It failed\.\n +at /);
    expect(text).toContain("\n    (code: 21, temporary: false)\nCaused by Error: not let in\n");
    expect(text).toContain("\n    (errno: -111)");
    expect(text).not.toMatch(/s3cr3t|Server|password|116 104 101/);
  });

  it("names each of several, and ends", () => {
    const causes = [new Error("one"), "two", { type: "refused", deep: { deeper: { deepest: 1 } } }];
    const text = errorDetails(failure(new AggregateError(causes, "all")));
    expect(text).toMatch(
      /Caused by AggregateError: all[^]*Caused by Error: one[^]*Caused by 'two'/,
    );
    expect(text).toContain("Caused by { type: 'refused', deep: { deeper: [Object] } }");
    const loop: Error = new Error("loop");
    loop.cause = loop;
    expect(errorDetails(loop).split("Caused by").length).toBeLessThan(20);
  });

  it("has no say in what the terminal does", () => {
    expect(errorDetails(failure(new Error("\u001b[2J")))).toContain(String.raw`Error: \x1b[2J`);
  });

  it("says no more of a long text than is read", () => {
    const long = Object.assign(new Error("x"), { page: "a".repeat(100_000) });
    expect(errorDetails(failure(long)).length).toBeLessThan(5_000);
  });
});
