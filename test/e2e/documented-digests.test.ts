/** Somebody else can compute the root digests, with docs/protocol.md and b3sum alone. */
import { readFileSync } from "node:fs";
import process from "node:process";

import { expect, it } from "vitest";

import { pvferry } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { documentedRoots, type Roots } from "../judge/documented-digests.ts";
import { makeEntries } from "../volume/apply.ts";
import { directory, entry, file, link, seconds, symlink, type Entry } from "../volume/entry.ts";
import { sparse } from "../volume/every-kind/contents.ts";
import { hardLinks, specials } from "../volume/every-kind/links.ts";
import { acls } from "../volume/every-kind/metadata.ts";
import { ownIds } from "../volume/plain.ts";
import { randomBytes } from "../volume/random-bytes.ts";

/** A little over a gigabyte of holes, and no whole number of pieces. */
const SPARSE_BYTES = 1_100_012_345;
const PIECE = 524_288;
const root = process.getuid?.() === 0;

function documented(name: string): string {
  const text = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  return new RegExp(`^\\| ${name} \\| \`([0-9a-f]{64})\` \\|$`, "m").exec(text)?.[1] ?? "missing";
}

async function pvferryRoots(volume: string): Promise<Roots> {
  const { code, stdout, stderr } = await pvferry(["digest", volume, "--json"]);
  expect(code, stderr).toBe(0);
  return (JSON.parse(stdout) as { roots: Roots }).roots;
}

/** What any user can make. */
function ordinary(): Entry[] {
  const random = randomBytes("documented");
  const user = { name: "user.k", value: Buffer.from("v") };
  const empty = { name: "user.a-empty", value: Buffer.alloc(0) };
  return [
    directory("", { mode: 0o751, mtime: seconds(-2, 500_000_000) }),
    directory("empty"),
    directory("names"),
    ...["-", "B", "a", "aa", "a b", "~", "\n", "\xff\xfe", "\xc3\xa9"].map((name) =>
      file(`names/${name}`, name),
    ),
    directory("names/deep", { mode: 0o2700 }),
    directory("names/deep/deeper"),
    file("names/deep/deeper/file", random.bytes(PIECE + 1), {
      mode: 0o4711,
      mtime: seconds(-1, 1),
    }),
    file("attributes", "", { xattrs: [user, empty] }),
    file("two-pieces", random.bytes(2 * PIECE)),
    file("five-pieces", random.bytes(4 * PIECE + 3)),
    ...hardLinks().filter(({ path, content }) => {
      return !path.startsWith("links/many") && (root || content.type !== "device");
    }),
    symlink("symlink", "\xff to nowhere", { mtime: seconds(3, 4) }),
  ].filter(({ path }) => root || !path.startsWith("links/b/device"));
}

function owned(entries: readonly Entry[]): Entry[] {
  return entries.map((each) => (root ? each : { ...each, ...ownIds() }));
}

describeWith({ programs: ["b3sum", "getfattr"] }, "the digests of docs/protocol.md", () => {
  it("are those of pvferry digest, for every kind of entry", async () => {
    using place = scratch();
    const volume = place.directory("volume");
    const forRoot = root ? [...specials(), ...acls()] : [];
    await makeEntries(volume, owned([...ordinary(), ...forRoot]));
    expect(await documentedRoots(volume)).toEqual(await pvferryRoots(volume));
  });

  it("are those of pvferry digest, for holes in both forms", async () => {
    using place = scratch();
    const volume = place.directory("volume");
    const random = randomBytes("documented holes");
    const few = sparse(random).filter(({ path }) => /(?:sparse|comb|odd-alignments)$/.test(path));
    const extents = [0, 500, 1000].map((mib) => ({
      offset: mib * 1024 * 1024 + 4096,
      data: random.bytes(10_000),
    }));
    const block = entry("block", { type: "file", size: SPARSE_BYTES, extents });
    await makeEntries(volume, owned([directory(""), ...few, block]));
    expect(await documentedRoots(volume)).toEqual(await pvferryRoots(volume));
  });
});

describeWith({ root: true, programs: ["b3sum", "getfattr"] }, "the example's tree", () => {
  it("has the roots that the document gives", async () => {
    using place = scratch();
    const volume = place.directory("volume");
    const ofRoot = { uid: 0, gid: 0, mtime: 0n };
    await makeEntries(volume, [
      directory("", { ...ofRoot, mtime: seconds(1_000_000_000) }),
      file("a", "hello\n", {
        mtime: seconds(1_500_000_000, 1),
        xattrs: [{ name: "user.k", value: Buffer.from("set yes") }],
      }),
      link("b", "a"),
      entry(
        "c",
        { type: "device", device: "char", major: 1, minor: 3 },
        { ...ofRoot, mode: 0o666 },
      ),
      directory("d", { mode: 0o700, mtime: seconds(-2, 500_000_000) }),
      symlink("l", "a", ofRoot),
    ]);
    const roots = { content: documented("content root"), metadata: documented("metadata root") };
    expect(await documentedRoots(volume)).toEqual(roots);
    expect(await pvferryRoots(volume)).toEqual(roots);
  });
});
