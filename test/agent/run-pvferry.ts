/** Runs the built command as a user would, and keeps what it said. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { watchSecrets, type Said } from "./kept-secrets.ts";

const PVFERRY = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const CACHE = fileURLToPath(new URL("../out/cache", import.meta.url));
/** Long enough for every test's volume on a busy machine; a hang ends as a failure that shows what was said. */
const PATIENCE_MS = 110_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

export interface Agent extends AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly stderr: () => string;
  readonly isRunning: () => boolean;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** Resolves when stderr matches; rejects when the process ends first. */
  readonly says: (words: RegExp) => Promise<void>;
}

export interface RunOptions {
  readonly environment?: { readonly [name: string]: string };
  readonly patienceMs?: number;
  /** A command that runs the rest of its arguments, such as setpriv with its flags. */
  readonly wrapper?: readonly string[];
}

/** The tests' own environment must not steer the command. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("PVFERRY_"));
  const addon = process.env["PVFERRY_ADDON"];
  return {
    ...Object.fromEntries(kept),
    XDG_CACHE_HOME: CACHE,
    ...(addon === undefined ? {} : { PVFERRY_ADDON: addon }),
  };
}

function collected(child: ChildProcess, name: "stdout" | "stderr"): () => string {
  let text = "";
  child[name]?.setEncoding("utf8").on("data", (more: string) => (text += more));
  return () => text;
}

/** Rejects when it cannot be started, and when it has let out what it was to keep to itself. */
async function endOf(
  child: ChildProcess,
  said: () => Said,
  expectKept: (said: Said) => void,
): Promise<Ended> {
  const started = performance.now();
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  expectKept(said());
  return { code, signal, ...said(), milliseconds: performance.now() - started };
}

/** Starts `pvferry ARGS`. Disposing kills it when it still runs. */
export function startPvferry(args: readonly string[], options: RunOptions = {}): Agent {
  return startCommand([...(options.wrapper ?? []), process.execPath, PVFERRY, ...args], options);
}

/** Starts what leads to pvferry in the end, such as `podman run IMAGE ARGS`. Disposing kills it when it still runs. */
export function startCommand(line: readonly string[], options: RunOptions = {}): Agent {
  const [command = "", ...rest] = line;
  const child = spawn(command, rest, {
    env: { ...cleanEnvironment(), ...options.environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stdout = collected(child, "stdout");
  const stderr = collected(child, "stderr");
  const { environment = {} } = options;
  const expectKept = watchSecrets({ line, environment });
  const ended = endOf(child, () => ({ stdout: stdout(), stderr: stderr() }), expectKept);
  const timer = setTimeout(() => child.kill("SIGKILL"), options.patienceMs ?? PATIENCE_MS);
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = async (): Promise<void> => {
    clearTimeout(timer);
    if (isRunning()) child.kill("SIGKILL");
    await ended;
  };
  void ended.finally(() => clearTimeout(timer)).catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    ended,
    stderr,
    isRunning,
    kill: (signal) => child.kill(signal),
    says: async (words) => {
      while (!words.test(stderr())) {
        if (!isRunning()) throw new Error(`ended without saying ${String(words)}: ${stderr()}`);
        await sleep(20);
      }
    },
    [Symbol.asyncDispose]: stop,
  };
}

export async function pvferry(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  await using agent = startPvferry(args, options);
  return await agent.ended;
}
