import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const self = "test/unit/clean-tree.test.ts";

/** Tracked files and those about to be, as they are in the working tree. */
function files(): readonly string[] {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"];
  const result = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  expect(result.status, result.stderr).toBe(0);
  const names = result.stdout.split("\0").filter((name) => name !== "" && name !== self);
  return names.filter((name) => statSync(join(root, name), { throwIfNoEntry: false })?.isFile());
}

const tree = files().map((name) => ({ name, text: readFileSync(join(root, name), "utf8") }));

/** "file:line text" of every line that matches. */
function lines(pattern: RegExp, within: (name: string) => boolean = () => true): readonly string[] {
  return tree
    .filter(({ name }) => within(name))
    .flatMap(({ name, text }) =>
      text
        .split("\n")
        .map((line, index) => ({ line, at: `${name}:${index + 1}` }))
        .filter(({ line }) => pattern.test(line))
        .map(({ line, at }) => `${at} ${line.trim()}`),
    );
}

test("nobody's machine is named", () => {
  expect(lines(/(?:^|[\s"'`(=:])\/(?:work|farm|root|home|tmp\/wt)\//)).toEqual([]);
});

test("no registry is named: the lock files say what, not from where", () => {
  const cargoIndex = /^native\/Cargo\.lock$/;
  const hosts = /https?:\/\/[\w.-]*(?:registry|npmjs|crates\.io)/;
  expect(lines(hosts)).toEqual([]);
  expect(lines(/"resolved"/, (name) => name === "package-lock.json")).toEqual([]);
  expect(
    lines(
      /^source = (?!"registry\+https:\/\/github\.com\/rust-lang\/)/,
      cargoIndex.test.bind(cargoIndex),
    ),
  ).toEqual([]);
});

test("links between documents lead somewhere", () => {
  const documents = tree.filter(({ name }) => name.endsWith(".md"));
  const links = documents.flatMap(({ name, text }) =>
    [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, to]) => join(dirname(name), to ?? "")),
  );
  expect(links.length).toBeGreaterThan(5);
  expect(links.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

test("no file is called what attracts everything", () => {
  const names = tree.map(({ name }) => name);
  expect(
    names.filter((name) => /(?:^|\/)(?:utils?|helpers?|common|misc)(?:\.|\/)/i.test(name)),
  ).toEqual([]);
});

test("TypeScript names have hyphens, Rust names have underscores", () => {
  const wrong = tree
    .map(({ name }) => basename(name))
    .filter((name) => /_.*\.ts$|-.*\.rs$/.test(name));
  expect(wrong).toEqual([]);
});

test("no Rust file is longer than 400 lines", () => {
  const long = tree.filter(
    ({ name, text }) => name.endsWith(".rs") && text.split("\n").length > 401,
  );
  expect(long.map(({ name }) => name)).toEqual([]);
});

test("Rust has no notes to self and no tests that do not run", () => {
  const rust = (name: string): boolean => name.endsWith(".rs");
  expect(lines(/\b(?:TODO|FIXME|XXX)\b|#\[ignore/, rust)).toEqual([]);
});
