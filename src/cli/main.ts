#!/usr/bin/env node
import process from "node:process";

// The target of a copy is waited for by its parent: it loads nothing that only people need.
if (process.argv[2] === "copy-target") {
  await (await import("./copy-target.ts")).copyTarget();
} else {
  await (await import("./command-line.ts")).runCommandLine(process.argv);
}
