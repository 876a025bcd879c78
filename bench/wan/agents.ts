/** pvferry's two agents at the two ends of a path. As the rival's daemons, the target is there before the clock starts. */
import { execFileSync, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { succeeds, type Contender } from "../contender.ts";
import { untilListening } from "../listening.ts";
import { openGroup } from "../measure.ts";
import { TARGET_ADDRESS, type Wire } from "../wire.ts";

const PVFERRY = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const PORT = 26_445;

export interface Agents extends Contender {
  /** Starts a target, and waits until it listens. */
  readonly prepare: () => Promise<void>;
  /** Waits until that target has ended. */
  readonly finish: () => Promise<void>;
  /** Lanes of the latest copy, as its receipt has them. */
  readonly lanes: () => number;
}

export function agents(
  folder: string,
  volumes: { readonly source: string; readonly target: string },
  wire: Wire,
  flags: readonly string[],
): Agents {
  mkdirSync(folder, { recursive: true });
  const pki = join(folder, "pki");
  if (!existsSync(pki)) {
    execFileSync(process.execPath, [PVFERRY, "pki", "init", "--out", pki, "--quiet"]);
  }
  const group = openGroup("pvferry");
  const logFile = join(folder, "log");
  const log = openSync(logFile, "w");
  const receipt = join(folder, "receipt.json");
  const start = (where: readonly string[], ...args: readonly string[]): ChildProcess =>
    group.start([...where, process.execPath, PVFERRY, ...args], { log });
  const from = ["--tls", join(pki, "source"), "--to", `${TARGET_ADDRESS}:${PORT}`];
  const to = ["--tls", join(pki, "target"), "--listen", `${TARGET_ADDRESS}:${PORT}`, "--quiet"];
  let target: ChildProcess | undefined;
  return {
    name: "pvferry",
    group,
    wire,
    log: logFile,
    prepare: async () => {
      target = start(wire.target, "target", volumes.target, ...to);
      await untilListening(target, PORT);
    },
    start: () =>
      start(wire.source, "source", volumes.source, ...from, "--receipt", receipt, ...flags),
    finish: async () => {
      if (target !== undefined && target.exitCode === null) await succeeds(target, "the target");
    },
    lanes: () => (JSON.parse(readFileSync(receipt, "utf8")) as { lanes: number }).lanes,
    [Symbol.asyncDispose]: () => {
      closeSync(log);
      group.close();
      return Promise.resolve();
    },
  };
}
