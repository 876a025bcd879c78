/** Which files a process opens, as strace sees it: no word of the process itself is taken for it. */
import { existsSync, readFileSync } from "node:fs";

/** Put before a command, writes down whatever it and its children open. The process that is started stays the command's own. */
export function tracingOpens(file: string): readonly string[] {
  return tracing(file, ["open", "openat", "openat2"]);
}

/** The same for these system calls; a name with a question mark before it need not exist on this machine. */
export function tracing(file: string, systemCalls: readonly string[]): readonly string[] {
  const how = ["-D", "-f", "--seccomp-bpf", "-qq", "-y", "-ttt", "-s", "4096"];
  return ["strace", ...how, "-e", `trace=${systemCalls.join(",")}`, "-o", file, "--"];
}

const LINE = /^(\d+) +(\d+\.\d+) (.*)$/;
const OPENED = /= \d+<(.*)>$/;

/** Calls in the order in which they ended; one that was interrupted by another thread's is whole again, and bears the time of its end. */
export function* tracedCalls(trace: string): Generator<readonly [at: number, call: string]> {
  const begun = new Map<string, string>();
  for (const line of trace.split("\n")) {
    const [, thread = "", at = "", rest = ""] = LINE.exec(line) ?? [];
    if (rest.endsWith("<unfinished ...>")) begun.set(thread, rest);
    else if (rest.startsWith("<... ")) yield [Number(at), `${begun.get(thread) ?? ""}${rest}`];
    else yield [Number(at), rest];
  }
}

/**
 * What was opened to be read or written beneath a folder since then (ms since 1970), as paths relative to it. A file that
 * is merely pointed at (O_PATH) is not opened. Names are plain ASCII.
 */
export function openedSince(trace: string, folder: string, since: number): ReadonlySet<string> {
  const opened = new Set<string>();
  if (!existsSync(trace)) return opened;
  for (const [at, call] of tracedCalls(readFileSync(trace, "latin1"))) {
    const path = OPENED.exec(call)?.[1] ?? "";
    if (1000 * at < since || call.includes("O_PATH") || !path.startsWith(`${folder}/`)) continue;
    opened.add(path.slice(folder.length + 1));
  }
  return opened;
}
