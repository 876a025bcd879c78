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
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
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

/** The `node` package fetches its platform's binary in an install script, the only one that package.json approves. */
function ownNodeRuns() {
  return spawnSync(ownNode, ["--version"]).status === 0;
}

/** Ends the process when npm fails: nothing that follows could work. */
function npm(/** @type {string[]} */ ...args) {
  console.error(`set-up: npm ${args.join(" ")}`);
  const result = spawnSync("npm", args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.error) throw new Error("npm could not be started", { cause: result.error });
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function install() {
  rmSync(stamp, { force: true });
  npm("ci");
  // Where ignore-scripts is configured, the approval in package.json has no effect on `npm ci`.
  if (!ownNodeRuns()) npm("rebuild", "--ignore-scripts=false", "node");
  if (!ownNodeRuns()) {
    console.error(`set-up: ${ownNode} does not run; its package could not fetch the binary`);
    process.exit(1);
  }
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
