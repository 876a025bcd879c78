/** What a newcomer reads on a machine that lacks something, before and after anything is downloaded. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { expect, test } from "vitest";

import { root } from "../../.dev/workspace.ts";
import { scratch } from "../bed/scratch.ts";

const EXECUTABLE = { mode: 0o755 };

/** A clone without node_modules, and a PATH with nothing but Node and the given programs. */
function bareMachine(folder: string, programs: Readonly<Record<string, string>>): () => string {
  for (const name of [".dev/run.mjs", "package.json", "package-lock.json", ".npmrc"]) {
    mkdirSync(join(folder, ".dev"), { recursive: true });
    copyFileSync(join(root, name), join(folder, name));
  }
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(process.execPath, join(bin, "node"));
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, EXECUTABLE);
  }
  return () => {
    const options = { env: { PATH: bin }, encoding: "utf8" } as const;
    const ended = spawnSync(process.execPath, [join(folder, ".dev/run.mjs"), "x.ts"], options);
    expect(ended.status, ended.stderr).toBe(1);
    return ended.stderr;
  };
}

test("set-up names the compilers that are missing, and downloads nothing", () => {
  using folder = scratch();
  const run = bareMachine(folder.path, { npm: ">ran-npm" });
  const said = run();
  expect(said).toMatch(/^set-up: not found in PATH: cargo, .*rustup\.rs.*and cc, .*apt-get.*\n$/);
  expect(() => readFileSync(join(folder.path, "ran-npm"))).toThrow("ENOENT");
});

test("set-up names the library that its own Node lacks", () => {
  using folder = scratch();
  const lost = "node: error while loading shared libraries: libatomic.so.1: cannot open";
  const node = join(folder.path, "node_modules/node/bin/node");
  const npm = `/bin/mkdir -p ${join(node, "..")}
printf '#!/bin/sh\\necho "${lost}" >&2\\nexit 127\\n' >${node}
/bin/chmod +x ${node}`;
  const said = bareMachine(folder.path, { npm, cargo: "", cc: "" })();
  expect(said).toContain(`does not run: ${lost}. On Debian: apt-get install libatomic1\n`);
  expect(said).not.toContain("npm rebuild");
});
