/** A program of the system that serves a port in a network namespace. It can be killed, and started again. */
import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

import { familyOf, stillRunning } from "../../agent/processes.ts";
import { isAlive } from "../bed-folder.ts";
import type { NetworkNamespace } from "../network-namespace.ts";
import { programPath } from "../program-folders.ts";

export interface ProgramOptions {
  readonly namespace: NetworkNamespace;
  /** Runs in the foreground. */
  readonly command: readonly string[];
  /** What has to happen in there before it starts: words that are put before the command. */
  readonly before?: readonly string[];
  /** It is there when somebody listens on this port. */
  readonly port: number;
  /** Removed in the end. */
  readonly folder?: string;
}

export interface Program extends AsyncDisposable {
  readonly port: number;
  /** The process that was started first; others may have come from it. */
  readonly pid: () => number;
  /** What it has printed, all runs of it. */
  readonly printed: () => string;
  /** Ends it and all that came from it at once, as a lost node does; what it listened on is free again. */
  readonly kill: () => Promise<void>;
  /** Starts it again, with nothing kept but its files. */
  readonly start: () => Promise<void>;
}

/** Far more than any of them takes on a busy machine. */
const PATIENCE_MS = 20_000;
const LISTENS = "0A";

const running = new Set<ChildProcess>();

const FOLDER = "pvferry-net-";

/** Those of processes that were killed. */
function sweepDeadFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = name.startsWith(FOLDER) ? Number.parseInt(name.slice(FOLDER.length), 10) : NaN;
    if (owner > 0 && !isAlive(owner)) {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    }
  }
}

let swept = false;

/** A folder that a program may read, and write to, when it has given up being root. */
export function programFolder(): string {
  if (!swept) sweepDeadFolders();
  swept = true;
  const folder = mkdtempSync(join(tmpdir(), `${FOLDER}${process.pid}-`));
  chmodSync(folder, 0o777);
  return folder;
}

/** A process that has just been started is still in the tests' own network. */
function hasEntered(pid: number, { path }: NetworkNamespace): boolean {
  return statSync(`/proc/${pid}/ns/net`).ino === statSync(path).ino;
}

/** Whether anybody listens on a port in the network that a process is in. */
function isListening(pid: number, port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const sockets = ["tcp", "tcp6"].flatMap((name) =>
    readFileSync(`/proc/${pid}/net/${name}`, "latin1").split("\n"),
  );
  return sockets.some((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    return local.endsWith(`:${hex}`) && state === LISTENS;
  });
}

export async function until(condition: () => boolean, otherwise: () => string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(otherwise());
    await sleep(10);
  }
}

/** False as well when the process is no more. */
function isServing(pid: number, namespace: NetworkNamespace, port: number): boolean {
  try {
    return hasEntered(pid, namespace) && isListening(pid, port);
  } catch {
    return false;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function killFamily(child: ChildProcess): readonly number[] {
  const family = hasEnded(child) ? [] : familyOf(child.pid ?? 0);
  for (const pid of family) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
  return family;
}

process.once("exit", () => running.forEach(killFamily));

/** Debian's programs for servers are where a plain user does not look. */
function lineOf({ namespace, command, before = [] }: ProgramOptions): readonly [string, string[]] {
  const [program = "", ...args] = command;
  const path = programPath(program) ?? program;
  const [first = "", ...rest] = [...namespace.wrapper, ...before, path, ...args];
  return [first, rest];
}

/** Resolves when it listens; rejects with what it said when it ends before that. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { port, folder } = options;
  const name = options.command[0] ?? "";
  let child: ChildProcess | undefined;
  let text = "";
  const start = async (): Promise<void> => {
    const started = spawn(...lineOf(options), {
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    child = started;
    running.add(started);
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding("utf8").on("data", (more: string) => (text += more));
    }
    await until(
      () => hasEnded(started) || isServing(started.pid ?? 0, options.namespace, port),
      () => `${name} does not listen on ${port}: ${text}`,
    );
    if (hasEnded(started)) throw new Error(`${name} has ended: ${text}`);
  };
  const kill = async (): Promise<void> => {
    if (child === undefined) return;
    const family = killFamily(child);
    running.delete(child);
    await until(
      () => stillRunning(family).length === 0,
      () => `${name} cannot be killed`,
    );
  };
  const dispose = async (): Promise<void> => {
    await kill();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    port,
    pid: () => child?.pid ?? 0,
    printed: () => text,
    kill,
    start,
    [Symbol.asyncDispose]: dispose,
  };
}
