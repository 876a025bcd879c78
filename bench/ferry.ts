/** pvferry as a contender: `pvferry copy`, from the start of its first process to the end of its last. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import type { Contender } from "./contender.ts";
import { openGroup } from "./measure.ts";
import { loopbackWire } from "./wire.ts";

const PVFERRY = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

export function ferry(
  folder: string,
  source: string,
  target: string,
  flags: readonly string[],
): Contender {
  mkdirSync(folder, { recursive: true });
  const group = openGroup("pvferry");
  const wire = loopbackWire();
  const logFile = join(folder, "log");
  const log = openSync(logFile, "w");
  const environment = { ...process.env, XDG_CACHE_HOME: folder };
  const args = [process.execPath, PVFERRY, "copy", source, target, "--quiet", ...flags];
  return {
    name: "pvferry copy",
    group,
    wire,
    log: logFile,
    start: () => group.start([...wire.source, ...args], { log, environment }),
    [Symbol.asyncDispose]: () => {
      closeSync(log);
      group.close();
      wire[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
