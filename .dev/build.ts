/**
 * Builds the addon and the TypeScript into dist/. `--dev` takes Cargo's development profile, which builds again in a
 * second; without it the addon is what is shipped.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { root, runAll, type Step } from "./workspace.ts";

const dist = join(root, "dist");

function cargoStep(dev: boolean): Step {
  const profile = dev ? [] : ["--release"];
  const args = ["build", "--manifest-path", "native/Cargo.toml", "--locked", "--workspace"];
  return { name: "native", command: "cargo", args: [...args, ...profile] };
}

/** Renamed into place: a process that has the old addon mapped keeps it whole. */
function placeAddon(dev: boolean): void {
  const profile = dev ? "debug" : "release";
  const folder = join(dist, "native");
  const next = join(folder, "pvferry.node.next");
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(root, "native/target", profile, "libpvferry_addon.so"), next);
  renameSync(next, join(folder, "pvferry.node"));
}

/** tsc never removes what it once wrote; a module that is gone must not be importable. */
function removeStale(): void {
  if (!existsSync(dist)) return;
  rmSync(join(dist, "compile-cache"), { recursive: true, force: true });
  for (const name of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    const source = /^(.*)\.js(?:\.map)?$/.exec(name)?.[1];
    if (source === undefined || existsSync(join(root, "src", `${source}.ts`))) continue;
    rmSync(join(dist, name));
  }
}

const dev = process.argv.includes("--dev");
removeStale();
runAll([cargoStep(dev), { name: "typescript", command: "tsc", args: ["-p", "src"] }]);
placeAddon(dev);
