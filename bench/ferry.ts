/** pvferry as a contender: `pvferry copy`, from the start of its first process to the end of its last. */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { succeeds, type Contender } from "./contender.ts";
import { openGroup } from "./measure.ts";

const PVFERRY = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

export function ferry(
  folder: string,
  source: string,
  target: string,
  flags: readonly string[],
): Contender {
  mkdirSync(folder, { recursive: true });
  const group = openGroup("pvferry");
  const log = openSync(join(folder, "log"), "w");
  const environment = { ...process.env, XDG_CACHE_HOME: folder };
  const args = [PVFERRY, "copy", source, target, "--quiet", ...flags];
  return {
    name: "pvferry copy",
    group,
    copy: async () => {
      const child = group.start(process.execPath, args, { log, environment });
      await succeeds(child, `pvferry copy (see ${folder}/log)`);
    },
    [Symbol.asyncDispose]: () => {
      closeSync(log);
      group.close();
      return Promise.resolve();
    },
  };
}
