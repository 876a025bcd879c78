#!/usr/bin/env node
/** What `pvferry` runs. It imports nothing that an older Node lacks, so that it can say in words that this is one. */

import process from "node:process";

/** The first major version, as package.json's `engines` has it. */
const OLDEST = 24;

if (Number.parseInt(process.versions.node, 10) < OLDEST) {
  process.stderr.write(
    `pvferry: this is Node.js ${process.versions.node}, and pvferry needs ${OLDEST} or newer.\n` +
      "Put a newer one first in PATH: the `node` package of npm has one, and so has node_modules/.bin after npm ci.\n",
  );
  process.exitCode = 2;
} else {
  await import("./start.ts");
}
