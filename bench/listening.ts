/** Waiting for a daemon to be there. */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether somebody listens on a port, in the network of a process. Column 2 is the address, 4 the state (proc(5)). */
function listens(pid: number, port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return ["tcp", "tcp6"].some((family) =>
    readFileSync(`/proc/${pid}/net/${family}`, "latin1")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .some(([, address, , state]) => address?.endsWith(suffix) === true && state === "0A"),
  );
}

export async function untilListening(daemon: ChildProcess, port: number): Promise<void> {
  for (;;) {
    if (daemon.exitCode !== null || daemon.pid === undefined) {
      throw new Error(`what should listen on port ${port} did not start`);
    }
    if (listens(daemon.pid, port)) return;
    await sleep(50);
  }
}
