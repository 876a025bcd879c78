import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { describe, expect, test } from "vitest";

import { COMMAND_ROWS } from "../../../src/cli/commands.ts";
import { environmentName, flagsOf } from "../../../src/config/flags.ts";
import { watchSecrets } from "../../agent/kept-secrets.ts";
import { scratch } from "../../bed/scratch.ts";

const MAIN = fileURLToPath(new URL("../../../src/cli/main.ts", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  cwd = process.cwd(),
): Promise<Ended> {
  const env = { PATH: process.env["PATH"], PVFERRY_ADDON: "/nonexistent.node", ...environment };
  const child = spawn(process.execPath, [MAIN, ...args], { env, cwd });
  let stdout = "";
  let stderr = "";
  const expectKept = watchSecrets({ line: args, environment });
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  expectKept({ stdout, stderr });
  return { code, stdout, stderr };
}

describe("help", () => {
  test.for(COMMAND_ROWS)("of $name: every flag with its variable, and examples", async (row) => {
    const { code, stdout } = await run([...row.name.split(" "), "--help"]);
    expect(code).toBe(0);
    for (const [, flag] of flagsOf(row.name)) {
      expect(stdout).toContain(`--${flag.name}`);
      expect(stdout.replaceAll(/\s+/g, " ")).toContain(environmentName(flag));
    }
    for (const example of row.examples) expect(stdout).toContain(example);
  });

  test("of pvferry itself lists commands and exit codes; the version is the package's", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    for (const word of ["copy", "source", "target", "digest", "pki", "130"]) {
      expect(stdout).toContain(word);
    }
    expect(stdout).not.toContain("copy-target");
    expect(await run(["--version"])).toMatchObject({ code: 0, stdout: "0.1.0\n" });
  });
});

describe("wrong usage is code 2, one sentence and what next, on stderr only", () => {
  test.for([
    [["cpoy"], "Did you mean copy?"],
    [["copy"], "'SRC'"],
    [["copy", "a", "b", "c"], "too many arguments"],
    [["digest", "--flies", "x"], "--files"],
    [["digest", ""], "DIR is empty"],
    [["source", "/x", "--tls", "y"], "--to ENDPOINT"],
    [["source", "/x", "--tls", "y", "--to", "::1:5"], "brackets"],
    [["source", "/x", "--tls", "y", "--dial", "::1:5"], "brackets"],
    [["source", "/x", "--tls", "y", "--to", "h:1", "--connect-timeout", "10"], "duration"],
    [["target", "/x", "--tls", "/none"], "there is no folder /none"],
    [["target", "/x", "--tls", "y", "--existing", "merge"], "refuse, update, mirror"],
    [["copy", "a", "b", "--max-delete", "5.125%"], "at most two decimals"],
    [["pki", "init", "--out", "x", "--days", "0"], "1 to 825"],
    [["copy-target"], "pvferry copy"],
  ] as const)("%j", async ([args, words]) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toContain(words);
    expect(stderr).toMatch(/^pvferry: /);
    expect(stderr).not.toContain("    at ");
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("no command at all: help, and code 2", async () => {
    const { code, stdout, stderr } = await run([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Usage: pvferry");
  });

  test("a variable is as wrong as an argument", async () => {
    const { code, stderr } = await run(["copy", "a", "b"], { PVFERRY_LANES: "many" });
    expect(code).toBe(2);
    expect(stderr).toContain('PVFERRY_LANES: "many" is not');
  });

  test("a misspelt variable is as wrong as an unknown flag", async () => {
    const { code, stdout, stderr } = await run(["copy", "a", "b"], { PVFERRY_LANS: "3" });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^pvferry: .*PVFERRY_LANS is set.*\n.*Did you mean PVFERRY_LANES\?/);
  });
});

describe("--json", () => {
  test.for([
    [["copy", "/none", "x", "--json"], 31, "volume"],
    [["copy", "--json"], 2, "usage"],
    [["source", "/x", "--json"], 2, "usage"],
    [["digest", "/", "--json"], 1, "bug"],
  ] as const)("%j: one document on stdout", async ([args, code, name]) => {
    const ended = await run(args);
    expect(ended.code).toBe(code);
    const document = JSON.parse(ended.stdout) as {
      readonly error: Readonly<Record<string, unknown>>;
    };
    expect(document.error).toMatchObject({ code, name });
    expect(Object.keys(document.error)).toEqual(["code", "name", "message", "next"]);
  });

  test("the result of pki init, by variable", async () => {
    using files = scratch();
    const environment = { PVFERRY_JSON: "1", PVFERRY_QUIET: "true", PVFERRY_OUT: files.at("pki") };
    const { code, stdout, stderr } = await run(["pki", "init"], environment);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout)).toMatchObject({ folder: files.at("pki"), caKeyKept: false });
    expect(existsSync(files.at("pki/source/tls.key"))).toBe(true);
  });
});

test("stack traces need -vv", async () => {
  const quiet = await run(["digest", "/"]);
  expect(quiet.code).toBe(1);
  expect(quiet.stderr).not.toContain("    at ");
  expect((await run(["digest", "/", "-v"])).stderr).not.toContain("    at ");
  expect((await run(["digest", "/", "-vv"])).stderr).toContain("    at ");
  expect((await run(["digest", "/"], { PVFERRY_VERBOSE: "2" })).stderr).toContain("    at ");
});

test("a key that others can read is refused, with the remedy", async () => {
  using files = scratch();
  await run(["pki", "init", "--out", files.at("pki")]);
  chmodSync(files.at("pki/target/tls.key"), 0o644);
  mkdirSync(files.at("volume"));
  const ended = await run(["target", files.at("volume"), "--tls", files.at("pki/target")]);
  expect(ended.code).toBe(2);
  expect(ended.stderr).toContain("can be read by others (mode 0644)");
  expect(ended.stderr).toContain("chmod 600");
});

test("a failed copy leaves no target folder behind", async () => {
  using files = scratch();
  mkdirSync(files.at("from"));
  writeFileSync(files.at("from/file"), "x");
  const ended = await run(["copy", "from", "to/", "--json"], { HOME: files.path }, files.path);
  expect(ended.code).toBe(1);
  expect(ended.stdout).toContain("/nonexistent.node");
  expect(existsSync(files.at("to"))).toBe(false);
});
