/**
 * Folders in which tests mount file systems: test/out/beds/<pid>-<n>. What is mounted in one is unmounted when it is
 * discarded and again when the process exits; those of dead processes are swept by the next one.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const BEDS = fileURLToPath(new URL("../out/beds", import.meta.url));
const inUse = new Set<string>();
let count = 0;

/** What it prints; throws when it does not end well. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
}

function mountsBeneath(folder: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return lines
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.startsWith(`${folder}/`));
}

/** Unmounts whatever is mounted in it, the last one first: lazily, so that nothing that is still open can keep it. */
export function discardBed(folder: string): void {
  for (let tries = 0; mountsBeneath(folder).length > 0 && tries < 5; tries++) {
    for (const path of mountsBeneath(folder).toReversed()) {
      try {
        run("umount", "-l", path);
      } catch {
        // Somebody was faster.
      }
    }
  }
  const [left] = mountsBeneath(folder);
  if (left !== undefined) throw new Error(`${left} cannot be unmounted`);
  rmSync(folder, { recursive: true, force: true });
  inUse.delete(folder);
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function sweepDeadBeds(): void {
  for (const name of readdirSync(BEDS)) {
    if (!isAlive(Number.parseInt(name, 10))) discardBed(join(BEDS, name));
  }
}

/** A new one, empty. */
export function bedFolder(): string {
  mkdirSync(BEDS, { recursive: true });
  if (count === 0) {
    sweepDeadBeds();
    process.on("exit", () => [...inUse].forEach(discardBed));
  }
  count++;
  const folder = join(BEDS, `${process.pid}-${count}`);
  mkdirSync(folder);
  inUse.add(folder);
  return folder;
}
