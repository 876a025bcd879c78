/** Dry runs and comparisons list what rsync would list, in its letters, and write nothing. */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";

import { describe, expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { pvferry, type Ended } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { toolOutput } from "../judge/run-tool.ts";
import { mutate } from "../volume/mutate.ts";

/** To the nanosecond, as pvferry compares. */
const RSYNC = ["-naHAXi", "--delete", "--modify-window=-1"];

async function rsyncLines(from: string, to: string, ...more: string[]): Promise<string[]> {
  const args = [...RSYNC, ...more, `${from}/`, `${to}/`];
  return lines(await toolOutput({ command: "rsync", args }));
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

/** What a line is about: its path, without the name that it is linked to. */
function pathOf(line: string): string {
  return line.slice(12).replace(/^ +/u, "").split(" => ")[0]?.split(" -> ")[0] ?? "";
}

/** Which name of an inode was found first is chance where several directories are walked at once. */
function withoutLinks(found: readonly string[], roots: readonly string[]): string[] {
  const isLinked = (path: string): boolean =>
    roots.some((root) => {
      // What was a directory on one side may be a file on the other.
      if (!existsSync(`${root}/${path}`)) return false;
      const stat = lstatSync(`${root}/${path}`);
      return !stat.isDirectory() && stat.nlink > 1;
    });
  return found.filter((line) => !isLinked(pathOf(line))).toSorted();
}

/** Two volumes that were alike before other things happened to either. */
function mutated(place: Scratch, seed: string): [string, string] {
  const from = place.directory("from");
  const to = place.at("to");
  const youngFrom = Date.now() - 2_000;
  mutate(from, { seed, youngFrom });
  execFileSync("cp", ["-a", from, to]);
  mutate(from, { seed: `${seed} later`, youngFrom });
  mutate(to, { seed: `${seed} elsewhere`, youngFrom });
  return [from, to];
}

describeWith({ programs: ["rsync", "setfacl", "setfattr"] }, "random differences", () => {
  it.each(["one", "two"])("are those of rsync, seed %s", async (seed) => {
    using place = scratch();
    const [from, to] = mutated(place, seed);
    const dry = await pvferry(["copy", "--dry-run", "--existing", "mirror", from, to]);
    expect(dry.code, dry.stderr).toBe(0);
    const ours = withoutLinks(lines(dry.stdout), [from, to]);
    expect(ours).toEqual(withoutLinks(await rsyncLines(from, to), [from, to]));
    expect(ours.length).toBeGreaterThan(10);
    const compared = await pvferry(["copy", "--mode", "verify", from, to]);
    expect(compared.code, compared.stderr).toBe(44);
    const all = withoutLinks(lines(compared.stdout), [from, to]);
    expect(all).toEqual(withoutLinks(await rsyncLines(from, to, "-c"), [from, to]));
    // What was listed is what a copy does: nothing is left afterwards.
    const copy = await pvferry(["copy", "--existing", "mirror", "--compare", "digest", from, to]);
    expect(copy.code, copy.stderr).toBe(0);
    const after = await pvferry(["copy", "--mode", "verify", from, to]);
    expect([after.code, after.stdout], after.stderr).toEqual([0, ""]);
    expect(await rsyncLines(from, to, "-c")).toEqual([]);
  });
});

const LETTERS = `
  mkdir -p from/d from/gone; cd from
  for name in same bytes size time mode owner group acl xattr kind; do echo $name > $name; done
  ln -s there link; ln -s there plain; mkfifo pipe; mknod null c 1 3; echo l > l1; ln l1 l2; ln l1 l3; ln l1 l4
  mkdir -p new/d; echo n > new/f; ln -s n new/link; mkfifo new/pipe; mknod new/null c 1 3; mknod new/loop b 7 9
  perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "new/socket", Listen => 1) or die'
  for name in file symlink device fifo; do mkdir directory-to-$name; touch directory-to-$name/within; done
  for name in directory symlink device; do echo f > file-to-$name; ln -s s symlink-to-$name; mkfifo fifo-to-$name; done
  for name in setuid less-acl less-xattr capability 'with space'; do echo x > "$name"; done
  setfacl -m u:9:r less-acl; setfattr -n user.n -v v less-xattr; setfacl -m d:u:9:rx d
  truncate -s 1M sparse; touch -d 1960-01-01T00:00:00.5 old; echo k > kept; ln kept kept-too
  cd ..; cp -a from to; cd to
  printf 'BYTES\\n' | dd of=bytes conv=notrunc status=none; touch -r ../from/bytes bytes
  echo longer >> size; touch -r ../from/size size; touch -d 2001-01-01 time; chmod 600 mode; chown 7 owner; chgrp 7 group
  setfacl -m u:9:r acl; setfattr -n user.n -v v xattr; rm kind; mkdir kind; touch kind/within
  ln -sfn elsewhere link; touch -h -d 2002-02-02 plain; rm null; mknod null c 1 5; touch -r ../from/null null
  rm l2; cp -p l1 l2; rm l3; rm -r gone new
  rm -r directory-to-* file-to-* symlink-to-* fifo-to-*; echo f > directory-to-file; ln -s s directory-to-symlink
  mknod directory-to-device c 1 3; mkfifo directory-to-fifo; mkdir {file,symlink,fifo}-to-directory; touch fifo-to-directory/x
  ln -s s file-to-symlink; echo f > symlink-to-symlink; ln -s s fifo-to-symlink; mknod file-to-device c 1 3
  mknod symlink-to-device b 7 9; mknod fifo-to-device c 1 3; chmod 4755 setuid; setfacl -b less-acl d
  setfattr -x user.n less-xattr; setcap cap_chown=ep capability; touch -r ../from/capability capability
  touch 'with space'; cp --sparse=never ../from/sparse sparse; touch -r ../from/sparse sparse; touch -d @0 old
  mkdir -p extra/deep; touch extra/deep/x; chmod 700 d; touch -r ../from .
`;

describeWith(
  { root: true, programs: ["rsync", "setcap", "setfacl", "setfattr"] },
  "every letter",
  () => {
    it("is the one that rsync prints", async () => {
      using place = scratch();
      execFileSync("bash", ["-ec", LETTERS], { cwd: place.path });
      const [from, to] = [place.at("from"), place.at("to")];
      const dry = await pvferry(["copy", "--dry-run", "--existing", "mirror", from, to]);
      expect(lines(dry.stdout).toSorted()).toEqual((await rsyncLines(from, to)).toSorted());
      const compared = await pvferry(["copy", "--mode", "verify", from, to]);
      const judged = await rsyncLines(from, to, "-c");
      expect(lines(compared.stdout).toSorted()).toEqual(judged.toSorted());
      for (const letter of "cstpogax") {
        expect(judged.some((line) => line.slice(2, 11).includes(letter))).toBe(true);
      }
    });
  },
);

interface Listed {
  readonly letters: string;
  readonly change: string;
  readonly kind: string;
  readonly aspects: readonly string[];
  readonly path: string | null;
  readonly pathBytes: string | null;
}

interface LookReceipt {
  readonly exitCode: number;
  readonly exitName: string;
  readonly mode: string;
  readonly pass: { readonly number: number };
  readonly movedBytes: number;
  readonly deleted: number;
  readonly differences: {
    readonly counts: { readonly [change: string]: number };
    readonly wouldMoveBytes: number;
    readonly listed: readonly Listed[];
    readonly omitted: number;
  };
}

function lookReceipt(ended: Ended): LookReceipt {
  return receiptOf(ended) as unknown as LookReceipt;
}

describe("a look between two agents", () => {
  it("ends on both sides with one receipt, which is no copy's; --list has all", async () => {
    using place = scratch();
    const [from, to] = [place.directory("from"), place.directory("to")];
    mkdirSync(`${from}/many`);
    for (let number = 0; number < 12_000; number += 1) writeFileSync(`${from}/many/${number}`, "");
    writeFileSync(`${from}/data`, "x".repeat(3_000_000));
    writeFileSync(`${to}/extra`, "e");
    utimesSync(from, 1_000_000_000, 1_000_000_000);
    utimesSync(to, 1_000_000_001, 1_000_000_001);
    const pki = await initPki(place.at("pki"));
    const before = listing(to);
    const target = await startTarget({ volume: to, pki, flags: ["--read-only"] });
    const flags = ["--mode", "verify", "--list", place.at("list")];
    const source = await startSource({ volume: from, pki, port: target.port, flags }).ended;
    const receipt = lookReceipt(source);
    expect(lookReceipt(await target.agent.ended)).toEqual(receipt);
    expect(source.code, source.stderr).toBe(44);
    expect(receipt).toMatchObject({
      exitCode: 44,
      exitName: "differ",
      mode: "compare",
      pass: { number: 0 },
      movedBytes: 0,
      deleted: 0,
      differences: {
        counts: { extra: 1, missing: 12_002, replaced: 0, attributes: 1 },
        wouldMoveBytes: 3_000_000,
        omitted: 2_004,
      },
    });
    const { listed } = receipt.differences;
    expect(listed).toHaveLength(10_000);
    expect(listed.slice(0, 2)).toMatchObject([
      { letters: ".d..t......", change: "attributes", aspects: ["time"], path: "" },
      { letters: ">f+++++++++", change: "missing", kind: "file", path: "data" },
    ]);
    const all = lines(readFileSync(place.at("list"), "utf8")).map(
      (line) => JSON.parse(line) as Listed,
    );
    expect(new Set(all.map(({ path }) => path)).size).toBe(12_004);
    expect(listing(to)).toEqual(before);
  });

  it("of volumes that are alike ends with 0, and equal roots", async () => {
    using place = scratch();
    const from = place.directory("from");
    mutate(from, { seed: "alike", youngFrom: Date.now() - 2_000 });
    execFileSync("cp", ["-a", from, place.at("to")]);
    const pki = await initPki(place.at("pki"));
    const target = await startTarget({ volume: place.at("to"), pki, flags: ["--read-only"] });
    const flags = ["--mode", "verify"];
    const source = await startSource({ volume: from, pki, port: target.port, flags }).ended;
    expect(source.code, source.stderr).toBe(0);
    const { roots, message } = receiptOf(source);
    expect(roots.source).toEqual(roots.target);
    expect(roots.source.content).toMatch(/^[0-9a-f]{64}$/u);
    expect(message).toMatch(/^The volumes are alike: /u);
  });

  it("is all that --read-only allows", async () => {
    using place = scratch();
    const pki = await initPki(place.at("pki"));
    const volume = place.directory("to");
    const target = await startTarget({ volume, pki, flags: ["--read-only"] });
    const from = place.directory("from");
    const copy = await startSource({ volume: from, pki, port: target.port }).ended;
    expect(copy.code).toBe(31);
    expect(copy.stderr).toContain("The target was started with --read-only");
    const flags = ["--dry-run"];
    const look = await startSource({ volume: from, pki, port: target.port, flags }).ended;
    expect(look.code, look.stderr).toBe(0);
    expect((await target.agent.ended).code).toBe(0);
  });
});

function listing(root: string): unknown {
  return readdirSync(root).map((name) => [name, lstatSync(`${root}/${name}`)]);
}

describe("a dry run", () => {
  it("is refused as the copy would be, and leaves the target as it is", async () => {
    using place = scratch();
    const [from, to] = [place.directory("from"), place.directory("to")];
    for (const name of ["a", "b", "c"]) writeFileSync(`${to}/${name}`, name);
    writeFileSync(`${from}/a`, "a");
    const run = (...flags: string[]) => pvferry(["copy", "--dry-run", ...flags, from, to]);
    expect((await run()).code).toBe(31);
    const limited = await run("--existing", "mirror", "--max-delete", "1");
    expect([limited.code, limited.stderr]).toEqual([
      34,
      expect.stringContaining("--max-delete 1 allows fewer to be removed: nothing was removed"),
    ]);
    rmSync(`${from}/a`);
    const empty = await run("--existing", "mirror");
    expect([empty.code, empty.stderr]).toEqual([34, expect.stringContaining("volume is empty")]);
    expect(readdirSync(to)).toEqual(["a", "b", "c"]);
    const missing = await pvferry(["copy", "--dry-run", from, place.at("none")]);
    expect([missing.code, existsSync(place.at("none"))]).toEqual([31, false]);
    const both = await pvferry(["copy", "--dry-run", "--mode", "verify", from, to]);
    expect(both.code).toBe(2);
  });

  it("says how much of changed large files the copy sends", async () => {
    using place = scratch();
    const [from, to] = [place.directory("from"), place.at("to")];
    for (const name of ["image", "log"]) {
      writeFileSync(`${from}/${name}`, Buffer.alloc(2_000_000, 1));
    }
    expect((await pvferry(["copy", "--pass", "stage", from, to])).code).toBe(0);
    const image = openSync(`${from}/image`, "r+");
    writeSync(image, "changed", 1_000_000);
    closeSync(image);
    appendFileSync(`${from}/log`, Buffer.alloc(600_000, 2));
    const dry = lookReceipt(await pvferry(["copy", "--dry-run", "--json", from, to]));
    const copy = receiptOf(await pvferry(["copy", "--json", from, to]));
    expect([dry.exitCode, copy.exitCode]).toEqual([0, 0]);
    expect(dry.differences.wouldMoveBytes).toBe(copy.movedBytes);
    expect(copy.movedBytes).toBeLessThan(4_096 + 600_000 + 4_096 + 1);
  });

  it("of a pass in between says what it would do, and does not count as one", async () => {
    using place = scratch();
    const [from, to] = [place.directory("from"), place.at("to")];
    writeFileSync(`${from}/old`, "old");
    expect((await pvferry(["copy", "--pass", "stage", from, to])).code).toBe(0);
    const journal = readFileSync(`${to}/.pvferry/journal`);
    appendFileSync(`${from}/old`, "er");
    writeFileSync(`${to}/extra`, "");
    const dry = await pvferry(["copy", "--dry-run", "--json", from, to]);
    expect(dry.code, dry.stderr).toBe(0);
    const { differences, mode } = lookReceipt(dry);
    expect([mode, differences.wouldMoveBytes]).toEqual(["dry-run", 5]);
    const listed = differences.listed.map(({ letters, path }) => `${letters} ${path ?? ""}`);
    expect(listed.filter((line) => !line.endsWith(" "))).toEqual([
      "*deleting   extra",
      ">f.st...... old",
    ]);
    expect(readFileSync(`${to}/.pvferry/journal`)).toEqual(journal);
  });
});
