import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** From the top. A folder may import only from rows beneath its own. */
const rows = [
  ["cli"],
  ["session"],
  ["net", "native", "pki", "host", "observe"],
  ["wire"],
  ["config"],
  ["core"],
];
const folders = rows.flat();
const rowOf = (folder: string): number => rows.findIndex((row) => row.includes(folder));

const root = fileURLToPath(new URL("../..", import.meta.url));
const copy = mkdtempSync(join(tmpdir(), "pvferry-layers-"));

function plant(file: string, text: string): void {
  const path = join(copy, "src", file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** One importing module for every ordered pair of folders, and what else could slip through. */
function plantAll(): void {
  for (const from of folders) {
    plant(`${from}/part.ts`, "export const part = 1;\n");
    for (const to of folders) {
      if (from === to) continue;
      const text = `import { part } from "../${to}/part.ts";\n\nexport const found = part;\n`;
      plant(`${from}/uses-${to}.ts`, text);
    }
  }
  plant("core/deep/uses-cli.ts", 'export { part } from "../../cli/part.ts";\n');
  plant("core/type-of-cli.ts", 'export type { Kind } from "../cli/kind.ts";\n');
  plant("cli/kind.ts", "export type Kind = string;\n");
  plant("native/types.ts", "export type Kind = string;\n");
  plant("core/uses-boundary.ts", 'export type { Kind } from "../native/types.ts";\n');
  plant(
    "wire/egg.ts",
    'import { hen } from "./hen.ts";\n\nexport const egg = (): string => hen();\n',
  );
  plant(
    "wire/hen.ts",
    'import { egg } from "./egg.ts";\n\nexport const hen = (): string => egg();\n',
  );
}

/** Complaints as "rule file", sorted, each once. */
function lint(): readonly string[] {
  const oxlint = join(root, "node_modules/.bin/oxlint");
  const result = spawnSync(oxlint, ["--format", "unix"], { cwd: copy, encoding: "utf8" });
  const line = /^src\/(\S+?):\d+:\d+: .*\[Error\/[\w-]+\(([\w-]+)\)\]$/gm;
  const found = [...result.stdout.matchAll(line)].map(([, file, rule]) => `${rule} ${file}`);
  return [...new Set(found)].toSorted();
}

let complaints: readonly string[] = [];

beforeAll(() => {
  for (const name of [".oxlintrc.json", "tsconfig.json", "package.json"]) {
    cpSync(join(root, name), join(copy, name));
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
  plantAll();
  complaints = lint();
});

afterAll(() => {
  rmSync(copy, { recursive: true });
});

describe("the layers of src/", () => {
  test("every folder has its place", () => {
    const real = readdirSync(join(root, "src"), { withFileTypes: true });
    const names = real.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    expect(names.filter((name) => !folders.includes(name))).toEqual([]);
  });

  test("an import upwards or sideways is an error, one downwards is not", () => {
    const upwards = folders.flatMap((from) =>
      folders
        .filter((to) => to !== from && rowOf(to) <= rowOf(from))
        .map((to) => `no-restricted-imports ${from}/uses-${to}.ts`),
    );
    const planted = complaints.filter((line) =>
      /^no-restricted-imports \w+\/uses-\w+\.ts$/.test(line),
    );
    expect(planted).toEqual(upwards.toSorted());
  });

  test("depth, re-exports and type imports do not hide one", () => {
    expect(complaints).toContain("no-restricted-imports core/deep/uses-cli.ts");
    expect(complaints).toContain("no-restricted-imports core/type-of-cli.ts");
  });

  test("the boundary with Rust is open to all", () => {
    expect(complaints.filter((line) => line.endsWith("core/uses-boundary.ts"))).toEqual([]);
  });

  test("a cycle is an error, also within a folder", () => {
    expect(complaints).toContain("no-cycle wire/egg.ts");
    expect(complaints).toContain("no-cycle wire/hen.ts");
  });
});
