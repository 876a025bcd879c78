import { Buffer } from "node:buffer";
import { mkdirSync, realpathSync, symlinkSync } from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { prepareCopyFolders } from "../../../src/cli/copy-folders.ts";
import { realFolder, volumeArgument } from "../../../src/cli/volume-argument.ts";
import { refusalOf } from "../../bed/refusal.ts";
import { scratch } from "../../bed/scratch.ts";

test("a volume is made absolute, and a trailing slash means nothing", () => {
  expect(volumeArgument("data/", "SRC")).toBe(path.resolve("data"));
});

test.for([undefined, "", "a\0b"])("%j is no volume", (typed) => {
  expect(refusalOf(() => volumeArgument(typed, "DST"))).toMatchObject({ code: 2 });
});

test("a volume's path that is not UTF-8 is refused with what helps", () => {
  const refusal = refusalOf(() => volumeArgument("/mnt/\uFFFD", "SRC"));
  expect(refusal).toMatchObject({ code: 2 });
  expect(refusal.message).toContain("SRC: the path /mnt/\uFFFD is not UTF-8, or");
  expect(refusal.next).toContain("mount --bind");
});

test("a link to a path that is not UTF-8 is refused by copy, and nothing is made", () => {
  using place = scratch();
  const bytes = Buffer.concat([Buffer.from(`${place.path}/by`), Buffer.from([0xff])]);
  mkdirSync(bytes);
  const link = place.at("link");
  symlinkSync(bytes, link);
  const source = place.directory("source");
  expect(refusalOf(() => prepareCopyFolders(link, place.at("new"))).message).toContain("SRC: ");
  expect(refusalOf(() => prepareCopyFolders(source, place.at("link/new"))).code).toBe(2);
  expect(refusalOf(() => prepareCopyFolders(source, link)).message).toContain("DST: ");
  expect(realFolder(`${source}/../source`, "SRC")).toBe(realpathSync(source));
});
