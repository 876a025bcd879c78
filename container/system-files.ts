/** What the image takes from this machine's system: shared libraries, with the terms they come under. */
import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";

function output(command: string, ...args: string[]): string {
  const result = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  if (result.status === 0) return result.stdout;
  const why = result.error?.message ?? result.stderr.trim();
  throw new Error(`stage: ${command} ${args.join(" ")} failed: ${why}`);
}

/** Without symbols for debuggers: half of a development addon, a fifth of Node. The original is left as it is. */
export function strip(from: string, to: string): void {
  output("strip", "--strip-unneeded", "-o", to, from);
}

/** The loader, and what it would load, by the paths at which it looks for them. */
export function sharedLibraries(binary: string): readonly string[] {
  const lines = output("ldd", binary).split("\n");
  const missing = lines.filter((line) => line.includes("not found"));
  if (missing.length > 0) throw new Error(`stage: ${binary} lacks ${missing.join(", ").trim()}`);
  const found = lines.map((line) => /(?:=> |^\s+)(\/\S+) \(0x/.exec(line)?.[1]);
  return found.filter((path) => path !== undefined);
}

/** Debian's record of the licences of these files' packages; nothing on systems that keep none. */
export function copyrightFiles(paths: readonly string[]): readonly string[] {
  // Where /lib is a link to /usr/lib, Debian knows some of them by the one path and some by the other.
  const names = paths.flatMap((path) => [path, realpathSync(path)]);
  const known = spawnSync("dpkg-query", ["--search", ...names], { encoding: "utf8" }).stdout ?? "";
  const packages = [...known.matchAll(/^([^:,\s]+)(?::\w+)?: /gm)].map(([, name]) => name ?? "");
  const files = [...new Set(packages)].map((name) => `/usr/share/doc/${name}/copyright`);
  return files.filter((file) => existsSync(file)).toSorted();
}
