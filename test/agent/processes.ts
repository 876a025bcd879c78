/** What processes there are, from /proc. */
import { readdirSync, readFileSync } from "node:fs";

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

/** Of several threads the first may be one while others still hold what is open. */
function isZombie(pid: string): boolean {
  const status = readOrEmpty(`/proc/${pid}/status`);
  return /^State:\s+Z/m.test(status) && /^Threads:\s+1$/m.test(status);
}

/** Process ids whose command line holds this text. */
export function processesNaming(text: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const named = pids.filter(
    (pid) => readOrEmpty(`/proc/${pid}/cmdline`).includes(text) && !isZombie(pid),
  );
  return named.map(Number);
}

/** A process and all that come from it. */
export function familyOf(pid: number): number[] {
  const children = readOrEmpty(`/proc/${pid}/task/${pid}/children`)
    .split(" ")
    .filter(Boolean)
    .map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

export function stillRunning(pids: readonly number[]): number[] {
  return pids.filter((pid) => readOrEmpty(`/proc/${pid}/status`) !== "" && !isZombie(String(pid)));
}
