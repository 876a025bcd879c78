/** Rules that leave entries out: as documented, as rsync has them, and through both agents. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { toolOutput } from "../judge/run-tool.ts";

const page = readFileSync(new URL("../../docs/filters.md", import.meta.url), "utf8");

/** The tree that the document speaks of. */
const TREE = [
  "a.log",
  "cache/x",
  "logs/a.log",
  "logs/old/b.log",
  "src/cache/y",
  "src/keep.log",
  "top",
];

function make(root: string, paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    writeFileSync(`${root}/${path}`, path);
  }
}

/** Files beneath a folder, in byte order; folders count as what is in them. */
function filesOf(root: string): readonly string[] {
  const found = readdirSync(root, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => !entry.isDirectory());
  return files
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length + 1))
    .toSorted();
}

/** Rows of the table below a heading that has these words in its first cell; cells without their backticks. */
function rows(heading: string): readonly (readonly [string, string])[] {
  const table = page.slice(page.indexOf(`| ${heading} |`)).split("\n\n")[0] ?? "";
  return table
    .split("\n")
    .slice(2)
    .map((line) => line.split("|").slice(1, 3))
    .map(([left = "", right = ""]) => [left.trim(), right.trim()] as const);
}

function quoted(cell: string): readonly string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text ?? "");
}

function flagsOf(rules: readonly string[]): readonly string[] {
  return rules.flatMap((rule) =>
    rule.startsWith("!") ? ["--include", rule.slice(1)] : ["--exclude", rule],
  );
}

async function digestLines(root: string, ...flags: string[]): Promise<readonly string[]> {
  const ended = await pvferry(["digest", "--files", ...flags, root]);
  expect(ended.code, ended.stderr).toBe(0);
  const lines = ended.stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => line.slice(66)).toSorted();
}

describe("the examples of docs/filters.md", () => {
  let place: Scratch;
  beforeAll(() => {
    place = scratch();
    make(place.directory("tree"), TREE);
    return () => place[Symbol.dispose]();
  });

  it.each(rows("rules, one after another"))("%s", async (rules, left) => {
    const kept = TREE.filter((path) => !quoted(left).includes(path));
    expect(kept.length).toBeLessThan(TREE.length);
    await expect(digestLines(place.at("tree"), ...flagsOf(quoted(rules)))).resolves.toEqual(kept);
  });

  it("are all there", () => {
    expect(rows("rules, one after another").length).toBeGreaterThan(10);
    expect(rows("rsync").length).toBeGreaterThan(6);
  });
});

describeWith({ programs: ["rsync"] }, "what docs/filters.md says of rsync's rules", () => {
  it.each(rows("rsync"))("%s is %s", async (theirs, ours) => {
    using place = scratch();
    make(place.directory("tree"), TREE);
    const split = (cell: string): string[] => quoted(cell).flatMap((text) => text.split(" "));
    const args = ["-a", ...split(theirs), `${place.at("tree")}/`, place.at("theirs")];
    await toolOutput({ command: "rsync", args });
    const ended = await pvferry(["copy", ...split(ours), place.at("tree"), place.at("ours")]);
    expect(ended.code, ended.stderr).toBe(0);
    const files = filesOf(place.at("ours"));
    expect(files).toEqual(filesOf(place.at("theirs")));
    expect(files.length).toBeLessThan(TREE.length);
  });
});

describe("rules", () => {
  it("count in the order in which they are given, files at their place", async () => {
    using place = scratch();
    make(place.directory("tree"), TREE);
    const file = place.at("rules");
    writeFileSync(file, "\uFEFF# logs\r\n*.log\r\n\n!keep.log  \n");
    const tree = place.at("tree");
    const kept = await digestLines(
      tree,
      "--filter-from",
      file,
      "--exclude",
      "src",
      "--exclude",
      "/top",
    );
    expect(kept).toEqual(["cache/x"]);
    const later = await digestLines(
      tree,
      "--exclude",
      "src/*",
      "--filter-from",
      file,
      "--include",
      "y",
    );
    expect(later).toEqual(["cache/x", "src/keep.log", "top"]);
  });

  it("come from the environment before those that are typed, and are void when their flag is typed", async () => {
    using place = scratch();
    make(place.directory("tree"), TREE);
    writeFileSync(place.at("rules"), "!a.log\ntop\n");
    const environment = {
      PVFERRY_FILTER_FROM: place.at("rules"),
      PVFERRY_EXCLUDE: "*.log\ncache/\n",
      PVFERRY_INCLUDE: "keep.log",
    };
    const args = ["digest", "--files", place.at("tree")];
    const lines = async (more: readonly string[]): Promise<readonly string[]> => {
      const ended = await pvferry([...args, ...more], { environment });
      expect(ended.code, ended.stderr).toBe(0);
      return ended.stdout
        .split("\n")
        .flatMap((line) => line.slice(66) || [])
        .toSorted();
    };
    await expect(lines([])).resolves.toEqual(["src/keep.log"]);
    await expect(lines(["--include", "logs/*.log"])).resolves.toEqual(["logs/a.log"]);
    await expect(lines(["--exclude", "y"])).resolves.toEqual(
      TREE.filter((path) => path !== "top" && path !== "src/cache/y"),
    );
  });

  it.each([
    [["--exclude", "[ab"], '--exclude: the pattern "[ab" has a [ without its ]'],
    [
      ["--exclude", "ok", "--include", "a\\"],
      '--include: the pattern "!a\\\\" cannot be understood',
    ],
    [["--exclude", "!a"], '--exclude: "!a" is not a pattern of one line, whose first character'],
    [["--exclude", "a\nb"], "is not a pattern of one line"],
    [["--exclude", "/"], '--exclude: the pattern "/" names nothing'],
    [["--filter-from", "/no/such"], "--filter-from /no/such cannot be read: ENOENT"],
  ])("that cannot be followed are refused before anything is done: %j", async (flags, words) => {
    using place = scratch();
    make(place.directory("tree"), TREE);
    const ended = await pvferry(["copy", ...flags, place.at("tree"), place.at("to")]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain(words);
    expect(existsSync(place.at("to"))).toBe(false);
  });

  it("in a file are refused by their line", async () => {
    using place = scratch();
    const file = place.at("rules");
    const refusal = async (contents: string | Uint8Array): Promise<string> => {
      writeFileSync(file, contents);
      const ended = await pvferry(["digest", "--filter-from", file, place.path]);
      expect(ended.code).toBe(2);
      return ended.stderr;
    };
    expect(await refusal("# one\nfine\n\n[z-a]\n")).toContain(
      `${file}, line 4: the pattern "[z-a]"`,
    );
    expect(await refusal(Uint8Array.of(0x61, 0xff, 0x0a))).toContain("it is not UTF-8");
    expect(await refusal("x\n".repeat(1001))).toContain("at most 1,000 of");
    expect(await refusal(`${"x".repeat(65_537)}\n`)).toContain("at most 1,000 of");
  });

  it("leave alone what they exclude on both sides of a mirror, and the receipt says which they were", async () => {
    using place = scratch();
    const [from, to] = [place.directory("from"), place.directory("to")];
    make(from, [...TREE, "changed.log"]);
    make(to, ["old/file", "old/b.log", "cache/mine", "top", "stale"]);
    writeFileSync(`${to}/changed.log`, "the target's own");
    symlinkSync("nowhere", `${from}/link.log`);
    const flags = [
      "--existing",
      "mirror",
      "--exclude",
      "*.log",
      "--exclude",
      "/cache/",
      "--scan-first",
    ];
    const words = await pvferry(["copy", ...flags, from, to]);
    expect(words.code, words.stderr).toBe(0);
    expect(words.stderr).toMatch(
      /^ {2}excluded {5}7 entries of the source, 3 of the target \(2 rules\)$/m,
    );
    expect(words.stderr).toContain("old: extra directory");
    expect(filesOf(to)).toEqual(["cache/mine", "changed.log", "old/b.log", "src/cache/y", "top"]);
    expect(readFileSync(`${to}/changed.log`, "utf8")).toBe("the target's own");
    const again = receiptOf(await pvferry(["copy", ...flags, "--json", from, to]));
    expect(again).toMatchObject({
      exitCode: 0,
      movedBytes: 0,
      deleted: 0,
      rules: ["*.log", "/cache/"],
      excluded: { source: 7, target: 3 },
    });
    const digest = async (root: string): Promise<string> => {
      const ended = await pvferry(["digest", "--exclude", "*.log", "--exclude", "/cache/", root]);
      return ended.stdout;
    };
    expect(await digest(from)).toContain(again.roots.source.metadata);
    const sides = await Promise.all([from, to].map(digest));
    expect(sides[0]).not.toBe(sides[1]);
  });
});
