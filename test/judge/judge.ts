/** node test/judge/judge.ts LEFT RIGHT [--exclude PATH]... [--no-rsync]: exit 0 when RIGHT is a faithful copy of LEFT. */
import { resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

import { compareTrees } from "./compare-trees.ts";
import { printable } from "./run-tool.ts";

const SHOWN = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    exclude: { type: "string", multiple: true, default: [] },
    "no-rsync": { type: "boolean", default: false },
    "all-xattrs": { type: "boolean", default: false },
  },
});
const [left, right] = positionals.map((path) => resolve(path));
if (left === undefined || right === undefined) {
  process.stderr.write(
    "usage: judge.ts LEFT RIGHT [--exclude PATH]... [--no-rsync] [--all-xattrs]\n",
  );
  process.exitCode = 2;
} else {
  const differences = await compareTrees(left, right, {
    excluded: values.exclude,
    rsync: !values["no-rsync"],
    allXattrs: values["all-xattrs"],
  });
  for (const { path, what } of differences.slice(0, SHOWN)) {
    process.stdout.write(`${printable(path) || "."}: ${printable(what)}\n`);
  }
  const more = differences.length - SHOWN;
  if (more > 0) process.stdout.write(`... and ${more} more\n`);
  process.exitCode = differences.length === 0 ? 0 : 1;
}
