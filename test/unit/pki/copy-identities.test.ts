import {
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { expect, test } from "vitest";

import { copyIdentities } from "../../../src/pki/copy-identities.ts";
import { scratch } from "../../bed/scratch.ts";

const DAY_MS = 86_400_000;

test("made once, kept for its owner only, and used again", async () => {
  using home = scratch();
  const first = await copyIdentities({ XDG_CACHE_HOME: home.path });
  const file = home.at("pvferry/copy.json");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
  expect(await copyIdentities({ XDG_CACHE_HOME: home.path })).toEqual(first);
  expect(first.source.transfer).toBe(first.target.transfer);
  expect(first.source.role).toBe("source");
});

test("made anew when it ends within a day, is damaged, or others could have touched it", async () => {
  using home = scratch();
  const environment = { HOME: home.path };
  const file = home.at(".cache/pvferry/copy.json");
  let last = (await copyIdentities(environment)).source.certificate;
  const expectNew = async (now = new Date()): Promise<void> => {
    const { source } = await copyIdentities(environment, now);
    expect(source.certificate).not.toBe(last);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    last = source.certificate;
  };
  await expectNew(new Date(Date.now() + 29.5 * DAY_MS));
  writeFileSync(file, '{"source":{}}');
  await expectNew();
  chmodSync(file, 0o640);
  await expectNew();
  expect(readdirSync(path.dirname(file))).toEqual(["copy.json"]);
});

test("a link in its place is not followed; it is replaced", async () => {
  using home = scratch();
  await copyIdentities({ HOME: home.path });
  const file = home.at(".cache/pvferry/copy.json");
  const elsewhere = home.at("elsewhere");
  renameSync(file, elsewhere);
  symlinkSync(elsewhere, file);
  const before = readFileSync(elsewhere, "utf8");
  await copyIdentities({ HOME: home.path });
  expect(readFileSync(elsewhere, "utf8")).toBe(before);
  expect(readFileSync(file, "utf8")).not.toBe(before);
});

test("a folder that others may write to, a home that cannot be written, and none at all", async () => {
  using home = scratch();
  chmodSync(home.directory("pvferry"), 0o777);
  await copyIdentities({ XDG_CACHE_HOME: home.path });
  expect(readdirSync(home.at("pvferry"))).toEqual([]);
  await expect(copyIdentities({ HOME: "/proc" })).resolves.toBeDefined();
  await expect(copyIdentities({ HOME: "relative" })).resolves.toBeDefined();
  await expect(copyIdentities({})).resolves.toBeDefined();
});

test("copies that start at once all get a working pair", async () => {
  using home = scratch();
  const all = await Promise.all(
    Array.from({ length: 4 }, () => copyIdentities({ XDG_CACHE_HOME: home.path })),
  );
  for (const { source, target } of all) expect(source.ca).toBe(target.ca);
  expect(readdirSync(home.at("pvferry"))).toEqual(["copy.json"]);
});
