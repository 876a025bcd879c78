#!/usr/bin/env node
/**
 * Runs one of the project's TypeScript files under the project's own Node (npm's `node` package), after making sure that
 * node_modules matches the lock file. Plain JavaScript for any Node from 20.19, because it runs before anything is
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

/** Ends the process when npm fails: nothing that follows could work. */
function install() {
  console.error("set-up: npm ci");
  rmSync(stamp, { force: true });
  const npm = spawnSync("npm", ["ci"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (npm.error) throw new Error("npm is needed and could not be started", { cause: npm.error });
  if (npm.status !== 0) process.exit(npm.status ?? 1);
  if (spawnSync(ownNode, ["--version"]).status !== 0) {
    console.error(
      `set-up: npm ci ended well but ${ownNode} does not run; is "allowScripts" in package.json in force?`,
    );
    process.exit(1);
  }
  writeFileSync(stamp, wanted());
}

/** Ctrl-C reaches the child by itself (one process group); SIGTERM is passed on. The exit status is the child's. */
function run(args) {
  const path = [join(root, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter);
  const child = spawn(ownNode, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
  });
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  child.on("exit", (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}

if (!installed()) install();
run(process.argv.slice(2));
