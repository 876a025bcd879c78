import { describe, expect, test } from "vitest";

import { resolveFlags } from "../../../src/config/resolve.ts";
import { refusalOf } from "../../bed/refusal.ts";

const NEEDED = { to: "host:1", tls: "dir" };

describe("resolving flags", () => {
  test("arguments win over the environment, which wins over the fallback", () => {
    const environment = { PVFERRY_LANES: "3", PVFERRY_COMPRESS: "zstd" };
    const values = resolveFlags("source", { ...NEEDED, lanes: "5" }, environment);
    expect(values).toMatchObject({ lanes: 5, compress: "zstd", connectTimeout: 600_000 });
    expect(values.to).toEqual({ kind: "tcp", hosts: ["host"], port: 1 });
  });

  test("an empty variable is not set; a switch can be switched off by either", () => {
    expect(resolveFlags("source", NEEDED, { PVFERRY_LANES: "" }).lanes).toBeNull();
    const environment = { PVFERRY_ONE_FILE_SYSTEM: "no" };
    expect(resolveFlags("digest", {}, environment).oneFileSystem).toBe(false);
    expect(resolveFlags("digest", { oneFileSystem: true }, environment).oneFileSystem).toBe(true);
    expect(resolveFlags("digest", { oneFileSystem: false }, {}).oneFileSystem).toBe(false);
  });

  test("a required flag may come from the environment", () => {
    const values = resolveFlags("target", {}, { PVFERRY_TLS: "/tls" });
    expect(values).toMatchObject({ tls: "/tls", listen: null });
  });

  test("a list is what was typed, or the lines of its variable, before all that was typed", () => {
    const environment = { PVFERRY_EXCLUDE: "a\n\nb c\n", PVFERRY_INCLUDE: "void" };
    const typed = { include: [{ at: 4, text: "x" }] };
    const { exclude, include, filterFrom } = resolveFlags("digest", typed, environment);
    const where = "PVFERRY_EXCLUDE";
    expect(exclude).toEqual([
      { at: -1, where, value: "a" },
      { at: -1, where, value: "b c" },
    ]);
    expect(include).toEqual([{ at: 4, where: "--include", value: "x" }]);
    expect(filterFrom).toEqual([]);
  });

  test("a command does not see the flags of others", () => {
    expect(resolveFlags("digest", {}, { PVFERRY_LANES: "nonsense" })).not.toHaveProperty("lanes");
  });

  test("a bad value says what, where and what next, without control characters", () => {
    const typed = refusalOf(() => resolveFlags("copy", { lanes: "\u001B[2J" }, {}));
    expect(typed.code).toBe(2);
    expect(typed.message).toBe('--lanes: "\\x1b[2J" is not a whole number from 1 to 64.');
    expect(typed.next).toContain("4");
    const variable = refusalOf(() => resolveFlags("copy", {}, { PVFERRY_COMPRESS: "gzip" }));
    expect(variable.message).toContain('PVFERRY_COMPRESS: "gzip" is not one of auto, none, zstd');
  });

  test("a missing flag says its two names", () => {
    const missing = refusalOf(() => resolveFlags("target", {}, {}));
    expect(missing).toMatchObject({ code: 2 });
    expect(missing.message).toContain("--tls DIR");
    expect(missing.next).toContain("PVFERRY_TLS");
  });

  test("a bad value that may hold a password is not repeated", () => {
    const via = [{ at: 0, text: "htp://alice:s3cr3t@proxy:3128" }];
    const refused = refusalOf(() => resolveFlags("source", { ...NEEDED, via }, {}));
    expect(refused.message).toMatch(/^--via: the value is not the URL of a proxy/);
    expect(`${refused.message} ${refused.next}`).not.toMatch(/alice|s3cr3t/);
  });
});
