/** What a target cannot hold, or an agent may not do, is an item and an exit code: never silence, never the end. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from "node:fs";

import { expect, it } from "vitest";

import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry, type Ended } from "../agent/run-pvferry.ts";
import { mountFilesystem, type Bed, type FilesystemKind } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { makeEntries } from "../volume/apply.ts";
import { directory, entry, file, link, seconds, symlink, type Entry } from "../volume/entry.ts";

interface Copied {
  readonly ended: Ended;
  readonly receipt: Receipt;
}

async function copyEntries(
  entries: readonly Entry[],
  beds: { readonly source: Bed; readonly target: Bed },
  options: { readonly flags?: readonly string[]; readonly wrapper?: readonly string[] } = {},
): Promise<Copied> {
  await makeEntries(beds.source.path, entries);
  const { flags = [], wrapper = [] } = options;
  const ended = await pvferry(["copy", beds.source.path, beds.target.path, "--json", ...flags], {
    wrapper,
  });
  return { ended, receipt: receiptOf(ended) };
}

function bedsOf(
  source: FilesystemKind,
  target: FilesystemKind,
): { source: Bed; target: Bed } & Disposable {
  const beds = {
    source: mountFilesystem({ kind: source }),
    target: mountFilesystem({ kind: target }),
  };
  return {
    ...beds,
    [Symbol.dispose]: () => {
      beds.source[Symbol.dispose]();
      beds.target[Symbol.dispose]();
    },
  };
}

const ROOT = { uid: 0, gid: 0 };
const NEEDS = {
  root: true,
  programs: ["mkfs.ext4", "mkfs.xfs", "setpriv", "chattr", "rsync", "getfattr"],
};

describeWith(NEEDS, "a target's limits", () => {
  it("of links to one file: the rest are copies, and said to be", async () => {
    using beds = bedsOf("tmpfs", "ext4");
    const most = 65_000;
    const links = Array.from({ length: most + 2 }, (_, index) =>
      link(`links/${index}`, "links/first"),
    );
    const { ended, receipt } = await copyEntries(
      [directory("links"), file("links/first", "one"), ...links],
      beds,
    );
    expect(ended.code).toBe(41);
    expect(receipt.items.length).toBeGreaterThan(0);
    expect(receipt.items[0]).toMatchObject({ side: "target", class: "not-kept", errno: "EMLINK" });
    const names = readdirSync(`${beds.target.path}/links`);
    expect(names).toHaveLength(most + 3);
    const sizes = new Set(names.map((name) => statSync(`${beds.target.path}/links/${name}`).size));
    expect(sizes).toEqual(new Set([3]));
  });

  it("of times: what is clamped in silence is read back and told", async () => {
    using beds = bedsOf("tmpfs", "ext4");
    const far = { mtime: seconds(253_402_300_799, 5) };
    const entries = [
      directory("d", far),
      file("f", "x", far),
      symlink("s", "x", far),
      file("fine", "x"),
    ];
    const { ended, receipt } = await copyEntries(entries, beds);
    expect(ended.code).toBe(41);
    const told = receipt.items.map(({ path, class: itemClass }) => `${path} ${itemClass}`);
    expect(new Set(told)).toEqual(new Set(["d not-kept", "f not-kept", "s not-kept"]));
  });

  it("of attributes: one that is too large is left out alone", async () => {
    using beds = bedsOf("tmpfs", "ext4");
    const xattrs = [
      { name: "user.small", value: Buffer.from("kept") },
      { name: "user.large", value: Buffer.alloc(60_000, 1) },
    ];
    const { ended, receipt } = await copyEntries([file("f", "x", { xattrs })], beds);
    expect(ended.code).toBe(41);
    expect(receipt.items).toHaveLength(1);
    expect(receipt.items[0]).toMatchObject({
      path: "f",
      class: "not-kept",
      what: expect.stringContaining("user.large") as string,
    });
    const kept = execFileSync("getfattr", [
      "-n",
      "user.small",
      "--only-values",
      `${beds.target.path}/f`,
    ]);
    expect(kept.toString()).toBe("kept");
  });

  it("of symbolic links: one that is too long is not written, the others are", async () => {
    using beds = bedsOf("tmpfs", "xfs");
    const { ended, receipt } = await copyEntries(
      [symlink("long", "l".repeat(2000)), symlink("short", "s")],
      beds,
    );
    expect(ended.code).toBe(40);
    expect(receipt.items).toHaveLength(1);
    expect(receipt.items[0]).toMatchObject({
      path: "long",
      class: "not-written",
      errno: "ENAMETOOLONG",
    });
    expect(readlinkSync(`${beds.target.path}/short`)).toBe("s");
  });
});

describeWith(NEEDS, "an agent", () => {
  it("that may not give files away copies them and says whose they were", async () => {
    using beds = bedsOf("tmpfs", "tmpfs");
    const entries = [
      directory("", ROOT),
      file("mine", "x", ROOT),
      file("theirs", "x", { uid: 5, gid: 6 }),
    ];
    const wrapper = ["setpriv", "--bounding-set", "-chown"];
    const { ended, receipt } = await copyEntries(entries, beds, { wrapper });
    expect(ended.code).toBe(41);
    expect(receipt.items.map(({ path, what }) => `${path} ${what}`)).toEqual([
      "theirs group",
      "theirs owner",
    ]);
    expect(receipt.items[0]).toMatchObject({ side: "target", class: "not-kept", errno: "EPERM" });
    expect(statSync(`${beds.target.path}/theirs`).size).toBe(1);
  });

  it("that may not make devices says which it did not make", async () => {
    using beds = bedsOf("tmpfs", "tmpfs");
    const device = entry("device", { type: "device", device: "char", major: 1, minor: 3 }, ROOT);
    const wrapper = ["setpriv", "--bounding-set", "-mknod"];
    const entries = [directory("", ROOT), device, entry("fifo", { type: "fifo" }, ROOT)];
    const { ended, receipt } = await copyEntries(entries, beds, { wrapper });
    expect(ended.code).toBe(40);
    expect(receipt.items).toEqual([
      expect.objectContaining({ path: "device", class: "not-written", errno: "EPERM" }),
    ]);
    expect(readdirSync(beds.target.path)).toEqual(["fifo"]);
  });
});

describeWith(NEEDS, "what belongs to the source's host", () => {
  const label = {
    name: "security.selinux",
    value: Buffer.from("system_u:object_r:container_file_t:s0\0"),
  };
  const entries = [
    file("labelled", "x", { xattrs: [label, { name: "user.kept", value: Buffer.from("1") }] }),
    file("merged", "x", { xattrs: [{ name: "trusted.overlay.opaque", value: Buffer.from("y") }] }),
  ];

  it("is left out and counted", async () => {
    using beds = bedsOf("tmpfs", "tmpfs");
    const { ended, receipt } = await copyEntries(entries, beds);
    expect(ended.code).toBe(0);
    expect(receipt.notPreserved["source"]).toContainEqual({ kind: "security.selinux", count: 1 });
    await expectFaithful(beds.source.path, beds.target.path);
    const names = execFileSync("getfattr", ["-R", "-d", "-m", "-", "."], {
      cwd: beds.target.path,
      encoding: "utf8",
    });
    expect(names).not.toMatch(/selinux|overlay/);
    expect(names).toMatch(/user\.kept/);
  });

  it("comes along when asked for", async () => {
    using beds = bedsOf("tmpfs", "tmpfs");
    const { ended } = await copyEntries([entries[0] ?? file("f", "")], beds, {
      flags: ["--selinux", "keep"],
    });
    expect(ended.code).toBe(0);
    await expectFaithful(beds.source.path, beds.target.path, { allXattrs: true, rsync: false });
  });

  it("such as chattr's flags and project ids is counted by kind, in every pass", async () => {
    using beds = bedsOf("xfs", "xfs");
    for (const name of ["a", "b", "c"]) writeFileSync(`${beds.source.path}/${name}`, name);
    writeFileSync(`${beds.source.path}/large`, Buffer.alloc(600_000, 1));
    const chattr = (...args: string[]): Buffer =>
      execFileSync("chattr", args, { cwd: beds.source.path });
    chattr("-p", "42", "a", "b", "large");
    chattr("+A", "a");
    chattr("+S", "large");
    chattr("+d", "a", "large");
    const counted = async (...flags: string[]): Promise<unknown> => {
      const ended = await pvferry(["copy", beds.source.path, beds.target.path, "--json", ...flags]);
      expect(ended.code).toBe(0);
      const all = receiptOf(ended).notPreserved["source"];
      return all?.filter(({ kind }) => /^(?:flag|project)/.test(kind));
    };
    const expected = [
      { kind: "flag no atime", count: 1 },
      { kind: "flag no dump", count: 2 },
      { kind: "flag synchronous", count: 1 },
      { kind: "project id", count: 3 },
    ];
    expect(await counted("--pass", "stage")).toEqual(expected);
    // Every file is opened again: one to be sent, the others to be compared.
    writeFileSync(`${beds.source.path}/b`, "changed");
    expect(await counted("--compare", "digest")).toEqual(expected);
  });

  it("such as what is mounted beneath comes along when asked for", async () => {
    using beds = bedsOf("tmpfs", "tmpfs");
    const inner = `${beds.source.path}/inner`;
    mkdirSync(inner);
    execFileSync("mount", ["-t", "tmpfs", "inner", inner]);
    writeFileSync(`${inner}/file`, "from another file system");
    const ended = await pvferry([
      "copy",
      beds.source.path,
      beds.target.path,
      "--json",
      "--no-one-file-system",
    ]);
    expect(ended.code).toBe(0);
    await expectFaithful(beds.source.path, beds.target.path);
  });
});
