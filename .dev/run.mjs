#!/usr/bin/env node
/**
 * Runs one of the project's TypeScript files under the project's own Node (npm's `node` package), after making sure that
 * node_modules matches the lock file. Plain JavaScript for any Node from 20.19 on, because it runs before anything is
 * installed.
 *
 *     node .dev/run.mjs FILE.ts [ARGUMENT...]
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const ownNode = join(root, "node_modules/node/bin/node");
const stamp = join(root, "node_modules/.pvferry-installed");

/** Changes whenever another `npm ci` could install something else. */
function wanted() {
  const hash = createHash("sha256");
  for (const name of ["package.json", "package-lock.json", ".npmrc"]) {
    hash.update(readFileSync(join(root, name)));
  }
  return `${hash.digest("hex")} ${process.platform}-${process.arch}\n`;
}

function installed() {
  try {
    return statSync(ownNode).size > 0 && readFileSync(stamp, "utf8") === wanted();
  } catch {
    return false;
  }
}

/** Ends the process with what a fresh machine lacks, before anything is downloaded. */
function requireTools() {
  const missing = [
    { program: "cargo", what: "a Rust toolchain (https://rustup.rs)" },
    { program: "cc", what: "a C compiler (on Debian: apt-get install gcc libc6-dev)" },
  ].filter(({ program }) => spawnSync(program, ["--version"]).error !== undefined);
  if (missing.length === 0) return;
  const wanting = missing.map(({ program, what }) => `${program}, of ${what}`).join(", and ");
  console.error(`set-up: not found in PATH: ${wanting}. Install it and run this again.`);
  process.exit(1);
}

/** The `node` package fetches its binary in an install script. One that is not there has no words; one that lacks a library names it. */
function requireOwnNode() {
  const { status, error, stderr } = spawnSync(ownNode, ["--version"], { encoding: "utf8" });
  if (status === 0) return;
  const why = error === undefined ? stderr.trim() : "its package could not fetch the binary";
  const next = why.includes("libatomic") ? " On Debian: apt-get install libatomic1" : "";
  console.error(`set-up: ${ownNode} does not run: ${why}.${next}`);
  // npm puts it in front of the machine's own, which has to be found again by the next run.
  rmSync(ownNode, { force: true });
  process.exit(1);
}

/** Ends the process when npm fails: nothing that follows could work. */
function npm(/** @type {string[]} */ ...args) {
  console.error(`set-up: npm ${args.join(" ")}`);
  const result = spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.error) throw new Error("npm could not be started", { cause: result.error });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function install() {
  requireTools();
  rmSync(stamp, { force: true });
  npm("ci");
  // Where ignore-scripts is configured, the approval in package.json has no effect on `npm ci`.
  if (!existsSync(ownNode)) npm("rebuild", "--ignore-scripts=false", "node");
  requireOwnNode();
  writeFileSync(stamp, wanted());
}

/** Ctrl-C reaches the child by itself (one process group); SIGTERM is passed on. The exit status is the child's. */
function run(/** @type {string[]} */ args) {
  const path = [join(root, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter);
  const child = spawn(ownNode, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
  });
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
}

if (!installed()) install();
run(process.argv.slice(2));
