import { existsSync, statSync, symlinkSync, writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { prepareCopyFolders } from "../../../src/cli/copy-folders.ts";
import { refusalOf } from "../../bed/refusal.ts";
import { scratch } from "../../bed/scratch.ts";

test("a missing target is made for us alone, and taken back as long as it is empty", () => {
  using files = scratch();
  const source = files.directory("from");
  const target = files.at("a/b/to");
  const folders = prepareCopyFolders(source, target);
  expect(folders).toMatchObject({ source, target });
  expect(statSync(target).mode & 0o777).toBe(0o700);
  folders.removeMadeIfEmpty();
  expect(existsSync(files.at("a"))).toBe(false);
  const again = prepareCopyFolders(source, target);
  writeFileSync(files.at("a/b/to/file"), "");
  again.removeMadeIfEmpty();
  expect(existsSync(files.at("a/b/to/file"))).toBe(true);
});

test("a folder that was there stays", () => {
  using files = scratch();
  prepareCopyFolders(files.directory("from"), files.directory("to")).removeMadeIfEmpty();
  expect(existsSync(files.at("to"))).toBe(true);
});

test("links lead to the same copy as the folders themselves", () => {
  using files = scratch();
  const source = files.directory("from");
  symlinkSync("from", files.at("link"));
  expect(prepareCopyFolders(files.at("link"), files.at("to")).source).toBe(source);
});

test("a source that is missing, a file, or a target that is a file", () => {
  using files = scratch();
  writeFileSync(files.at("file"), "");
  const missing = refusalOf(() => prepareCopyFolders(files.at("none"), files.at("to")));
  expect(missing.code).toBe(31);
  expect(missing.message).toContain("does not exist");
  const file = refusalOf(() => prepareCopyFolders(files.at("file"), files.at("to")));
  expect(file.message).toContain("not a directory");
  expect(existsSync(files.at("to"))).toBe(false);
  const from = files.directory("from");
  expect(refusalOf(() => prepareCopyFolders(from, files.at("file"))).code).toBe(31);
  expect(refusalOf(() => prepareCopyFolders(from, files.at("file/to"))).code).toBe(31);
});

test("folders that contain each other, also when the target is not there yet", () => {
  using files = scratch();
  const outer = files.directory("outer");
  const inner = files.directory("outer/inner");
  symlinkSync("outer/inner", files.at("link"));
  const words = (source: string, target: string): string => {
    const error = refusalOf(() => prepareCopyFolders(source, target));
    expect(error.code).toBe(2);
    return error.message;
  };
  expect(words(outer, outer)).toContain("the same folder");
  expect(words(outer, inner)).toContain("DST lies inside SRC");
  expect(words(outer, files.at("outer/new/deeper"))).toContain("DST lies inside SRC");
  expect(words(outer, files.at("link/new"))).toContain("DST lies inside SRC");
  expect(words(inner, outer)).toContain("SRC lies inside DST");
  expect(existsSync(files.at("outer/new"))).toBe(false);
});

test("a target beside or above is fine; one that takes no folders is an answer, not a hang", () => {
  using files = scratch();
  const inner = files.directory("outer/inner");
  expect(prepareCopyFolders(inner, files.at("outer/new")).target).toBe(files.at("outer/new"));
  expect(refusalOf(() => prepareCopyFolders(inner, "/proc/none/x")).code).toBe(31);
});
