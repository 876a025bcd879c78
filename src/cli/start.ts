/** What every command begins with; main.ts has made sure of the Node that runs it. */

import { enableCompileCache } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";

// Compiled code is kept beside the code itself, where whoever can write could change the code as well; nobody else gets
// to write into what is made there. Without the right to write there, nothing is kept (a fifth of the start).
process.umask(process.umask() | 0o022);
enableCompileCache(fileURLToPath(new URL("../../dist/compile-cache", import.meta.url)));

// The target of a copy is waited for by its parent: it loads nothing that only people need.
if (process.argv[2] === "copy-target") {
  await (await import("./copy-target.ts")).copyTarget();
} else {
  await (await import("./command-line.ts")).runCommandLine(process.argv);
}
