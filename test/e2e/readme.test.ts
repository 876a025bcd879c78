/** README's five minutes by hand are typed as they stand there, but for the build, the port, and two shells in one. */
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { freePort } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const BUILD = "npm run build\n";

/** The shell blocks of a section, in order. */
function blocks(title: string): readonly string[] {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const section = readme.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? "";
  return [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands ?? "");
}

/** What listens is put into the background, as its reader puts it into another shell. */
function script(parts: readonly string[], port: number): string {
  const one = parts
    .join("")
    .replace(BUILD, "")
    .replace(/^pvferry target .*$/m, "$& &\nagent=$!");
  const waited = one.replace(/^pvferry source .*$/m, "$&\nwait $agent");
  return `set -eu\n${waited.replaceAll("6443", String(port))}`;
}

describeWith({ programs: ["b3sum"] }, "README", () => {
  it("shows commands that work", async () => {
    using folder = scratch();
    for (const name of ["node_modules", "dist"]) symlinkSync(join(root, name), folder.at(name));
    for (const name of ["docs", "src"]) {
      cpSync(join(root, name), folder.at(name), { recursive: true });
    }
    const parts = blocks("Five minutes by hand");
    expect(parts[0]).toContain(BUILD);
    expect(parts.length).toBeGreaterThan(4);
    const result = spawnSync("bash", ["-c", script(parts, await freePort())], {
      cwd: folder.path,
      encoding: "utf8",
      env: { PATH: process.env["PATH"] },
    });
    expect(result.status, `${result.stdout}\n${result.stderr}`).toBe(0);
    expect(result.stderr.match(/Everything was kept/g)).toHaveLength(3);
  });
});
