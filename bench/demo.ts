/**
 * npm start, after the build: makes a volume of some 2 GB and moves it from a source agent to a target agent, two
 * processes that know each other by the certificates of `pvferry pki init` alone.
 *
 *     npm start [-- FOLDER]      FOLDER (default: the system's folder for temporary files) needs 5 GB free
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { root, runStep } from "../.dev/workspace.ts";
import { freePort } from "../test/bed/ports.ts";

const NEEDED_BYTES = 5e9;
/** For the other agent to find out by itself that its peer is gone. */
const PATIENCE_MS = 5_000;

type Side = "source" | "target";

/** What is read of a receipt here. */
interface RootDigests {
  readonly roots: {
    readonly [side in Side]: { readonly content: string; readonly metadata: string };
  };
}

function say(text: string): void {
  process.stderr.write(`\n== ${text}\n`);
}

function workFolder(): string {
  const parent = process.argv[2] ?? tmpdir();
  const { bavail, bsize } = statfsSync(parent);
  if (bavail * bsize < NEEDED_BYTES) {
    throw new Error(`${parent} has less than 5 GB free; name another folder: npm start -- FOLDER`);
  }
  const folder = mkdtempSync(join(parent, "pvferry-demo-"));
  mkdirSync(join(folder, "target"));
  return folder;
}

/** A pvferry command, shown as somebody would type it. */
function pvferry(args: readonly string[], output: "inherit" | "pipe"): ChildProcess {
  process.stderr.write(`$ pvferry ${args.join(" ")}\n`);
  const main = join(root, "dist/cli/main.js");
  return spawn(process.execPath, [main, ...args], { stdio: ["ignore", output, output] });
}

async function exitOf(child: ChildProcess): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode ?? 1;
}

/** Two agents on one terminal would draw over each other, so the target's words wait until they are needed. */
function collect(child: ChildProcess): () => string {
  const chunks: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** An agent that failed must not leave the other one waiting for it. */
function stopTogether(agents: readonly ChildProcess[]): void {
  const stopAll = (): void => {
    for (const agent of agents) agent.kill("SIGTERM");
  };
  for (const agent of agents) {
    agent.once("exit", (code) => {
      if (code !== 0) setTimeout(stopAll, PATIENCE_MS).unref();
    });
  }
  process.once("SIGTERM", stopAll);
}

async function transfer(folder: string): Promise<number> {
  const at = (name: string): string => join(folder, name);
  const place = `127.0.0.1:${await freePort()}`;
  const common = (side: Side): string[] => [
    "--tls",
    at(`pki/${side}`),
    "--receipt",
    at(`${side}.json`),
  ];
  const pki = await exitOf(pvferry(["pki", "init", "--out", at("pki")], "inherit"));
  if (pki !== 0) return pki;
  const target = pvferry(["target", at("target"), "--listen", place, ...common("target")], "pipe");
  const heard = collect(target);
  const source = pvferry(["source", at("source"), "--to", place, ...common("source")], "inherit");
  stopTogether([source, target]);
  const [sourceExit, targetExit] = await Promise.all([exitOf(source), exitOf(target)]);
  if (sourceExit + targetExit > 0) process.stderr.write(`the target said:\n${heard()}`);
  return sourceExit === 0 ? targetExit : sourceExit;
}

/** Each digest as the side computed it whose receipt it is. */
function showDigests(folder: string): void {
  const rootsOf = (side: Side): RootDigests["roots"][Side] => {
    const text = readFileSync(join(folder, `${side}.json`), "utf8");
    return (JSON.parse(text) as RootDigests).roots[side];
  };
  const [source, target] = [rootsOf("source"), rootsOf("target")];
  say("Root digests");
  for (const kind of ["content", "metadata"] as const) {
    process.stdout.write(`${kind.padEnd(9)} source ${source[kind]}\n`);
    process.stdout.write(`${" ".repeat(9)} target ${target[kind]}\n`);
  }
  const same = source.content === target.content && source.metadata === target.metadata;
  process.stdout.write(same ? "Both sides hold the same.\n" : "The two sides DIFFER.\n");
  if (!same) process.exitCode = 43;
}

function makeSource(folder: string): void {
  const args = ["test/volume/make.ts", folder, "demo"];
  if (!runStep({ name: "volume", command: process.execPath, args })) {
    throw new Error("the volume could not be made");
  }
}

async function demo(): Promise<void> {
  const folder = workFolder();
  try {
    say("A volume of some 2 GB");
    makeSource(join(folder, "source"));
    say("Two agents, one TLS 1.3 port");
    process.exitCode = await transfer(folder);
    if (process.exitCode === 0) showDigests(folder);
  } finally {
    say("Cleaning up");
    // Not Node's own: paths may be longer than it can name. The modes were made by whoever runs this.
    spawnSync("chmod", ["-R", "u+rwX", folder]);
    spawnSync("rm", ["-rf", folder], { stdio: "inherit" });
  }
}

// The agents get Ctrl-C from the terminal themselves; this process stays to clean up after them.
process.on("SIGINT", () => undefined);
try {
  await demo();
} catch (error) {
  process.stderr.write(`npm start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
