/** The judge itself on trial: two equal trees are equal, and whatever is changed on purpose is seen. */
import { expect, it } from "vitest";

import { mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { compareTrees } from "../judge/compare-trees.ts";
import { BOTTOM, ODD_NAME, sample, sampleWith } from "../judge/sample.ts";
import { sharedAcl } from "../volume/acl.ts";
import { makeEntries } from "../volume/apply.ts";
import { file, link, sparseFile, type Entry } from "../volume/entry.ts";

const MIB = 1024 * 1024;

interface Change {
  readonly path: string;
  readonly change: (found: Entry) => Entry | null;
  /** What the judge says of that path. */
  readonly says: RegExp;
  /** rsync cannot see it, or not at such a path. */
  readonly rsyncBlind?: true;
}

function withXattr(found: Entry, name: string, value: Buffer): Entry {
  return {
    ...found,
    xattrs: [...found.xattrs.filter((xattr) => xattr.name !== name), { name, value }],
  };
}

function withoutXattr(found: Entry, name: string): Entry {
  return { ...found, xattrs: found.xattrs.filter((xattr) => xattr.name !== name) };
}

const later = (found: Entry): Entry => ({ ...found, mtime: found.mtime + 1n });
const flipped = Buffer.alloc(3 * MIB, "large ").fill("L", 2 * MIB + 5, 2 * MIB + 6);

const CHANGES: { readonly [what: string]: Change } = {
  "a missing file": { path: "file", change: () => null, says: /missing on the right/ },
  "one byte": {
    path: "large",
    change: (found) => ({ ...file("large", flipped), mtime: found.mtime }),
    says: /content differs/,
  },
  "a size": {
    path: "file",
    change: (found) => ({ ...file("file", "text\n\n"), xattrs: found.xattrs }),
    says: /size: 5 | 6/,
  },
  "a mode": {
    path: "file",
    change: (found) => ({ ...found, mode: 0o645 }),
    says: /mode: 644 \| 645/,
  },
  "a lost setuid": {
    path: "program",
    change: (found) => ({ ...found, mode: 0o755 }),
    says: /mode: 4755 \| 755/,
  },
  "the root's mode": {
    path: "",
    change: (found) => ({ ...found, mode: 0o711 }),
    says: /mode: 755 \| 711/,
  },
  "an owner": { path: "fifo", change: (found) => ({ ...found, uid: 1001 }), says: /uid/ },
  "a symlink's group": {
    path: "symlink",
    change: (found) => ({ ...found, gid: 1001 }),
    says: /gid/,
  },
  "a nanosecond of a file": { path: "file", change: later, says: /mtime/ },
  "a nanosecond of a directory": { path: "directory", change: later, says: /mtime/ },
  "a nanosecond of a symlink": { path: "symlink", change: later, says: /mtime/ },
  "a nanosecond of a device": { path: "device", change: later, says: /mtime/ },
  "a nanosecond of the root": { path: "", change: later, says: /mtime/ },
  "a symlink's target": {
    path: "symlink",
    change: (found) => ({ ...found, content: { type: "symlink", target: "tarGet" } }),
    says: /target: target \| tarGet/,
  },
  "a type": {
    path: "socket",
    change: (found) => ({ ...found, content: { type: "fifo" } }),
    says: /type: s \| p/,
  },
  "a device number": {
    path: "device",
    change: (found) => ({
      ...found,
      content: { type: "device", device: "char", major: 1, minor: 5 },
    }),
    says: /device: 1:3 \| 1:5/,
  },
  "a broken hard link": {
    path: "directory/linked",
    change: () => file("directory/linked", "several names\n"),
    says: /names: 2 \| 1/,
  },
  "a filled hole": {
    path: "sparse",
    change: () =>
      sparseFile("sparse", 8 * MIB, [
        { offset: 4 * MIB, data: Buffer.alloc(65_536, 1) },
        { offset: 6 * MIB, data: Buffer.alloc(4096) },
      ]),
    says: /data extents: 4194304-4259840 \| 4194304-4259840 6291456-6295552/,
    rsyncBlind: true,
  },
  "a punched hole": {
    path: "zeros",
    change: () => sparseFile("zeros", MIB, []),
    says: /data extents: 65536-131072 \|/,
    rsyncBlind: true,
  },
  "an xattr's value": {
    path: "file",
    change: (found) => withXattr(found, "user.note", Buffer.from("a\0c")),
    says: /xattrs: /,
  },
  "an empty xattr lost": {
    path: "file",
    change: (found) => withoutXattr(found, "user.empty"),
    says: /xattrs: .*user.empty/,
  },
  "an xattr too many": {
    path: "large",
    change: (found) => withXattr(found, "user.new", Buffer.alloc(0)),
    says: /xattrs: none/,
  },
  "an xattr of the root": {
    path: "",
    change: (found) => withoutXattr(found, "user.note"),
    says: /xattrs: .*user.note/,
  },
  "a trusted xattr of a symlink": {
    path: "symlink",
    change: (found) => withoutXattr(found, "trusted.t"),
    says: /trusted.t/,
  },
  "a lost capability": {
    path: "program",
    change: (found) => withoutXattr(found, "security.capability"),
    says: /capability/,
  },
  "an ACL": {
    path: "acl",
    change: (found) => ({ ...found, xattrs: [sharedAcl("access", 7, 9)] }),
    says: /ACL: .*group:8/,
  },
  "a default ACL lost": {
    path: "directory",
    change: (found) => withoutXattr(found, "system.posix_acl_default"),
    says: /ACL: .*default:user:9/,
  },
  "an odd name's xattr": {
    path: ODD_NAME,
    change: (found) => withoutXattr(found, "user.note"),
    says: /xattrs/,
  },
  "a deep file's mode": {
    path: `${BOTTOM}/file`,
    change: (found) => ({ ...found, mode: 0o4750 }),
    says: /mode: 750 \| 4750/,
    rsyncBlind: true,
  },
  "a deep file's byte": {
    path: `${BOTTOM}/file`,
    change: (found) => ({ ...file(found.path, "Deep\n"), mode: found.mode, xattrs: found.xattrs }),
    says: /content differs/,
    rsyncBlind: true,
  },
  "a deep file's xattr": {
    path: `${BOTTOM}/file`,
    change: (found) => withoutXattr(found, "user.note"),
    says: /xattrs/,
    rsyncBlind: true,
  },
  "a deep file's ACL": {
    path: `${BOTTOM}/file`,
    change: (found) => ({
      ...found,
      xattrs: found.xattrs.map((xattr) =>
        xattr.name.startsWith("system") ? sharedAcl("access", 7, 9) : xattr,
      ),
    }),
    says: /ACL/,
    rsyncBlind: true,
  },
};

describeWith({ root: true, programs: ["rsync", "getfattr", "getfacl"] }, "the judge", () => {
  it("finds nothing between two trees made alike", async () => {
    using left = mountFilesystem({ kind: "tmpfs" });
    using right = mountFilesystem({ kind: "ext4" });
    await makeEntries(left.path, sample());
    await makeEntries(right.path, sample());
    expect(await compareTrees(left.path, right.path)).toEqual([]);
  });

  it("sees an entry too many", async () => {
    using left = mountFilesystem({ kind: "tmpfs" });
    using right = mountFilesystem({ kind: "tmpfs" });
    await makeEntries(left.path, sample());
    await makeEntries(right.path, [...sample(), file("directory/extra", "")]);
    const found = await compareTrees(left.path, right.path);
    expect(found).toContainEqual({ path: "directory/extra", what: "only on the right" });
    expect(found.filter(({ what }) => what.startsWith("rsync")).length).toBeGreaterThan(0);
  });

  it("sees hard links that belong to each other's file", async () => {
    using left = mountFilesystem({ kind: "tmpfs" });
    using right = mountFilesystem({ kind: "tmpfs" });
    const exchanged = sample().map((each) => {
      if (each.path === "directory/linked") return link(each.path, "other");
      return each.path === "directory/other" ? link(each.path, "linked") : each;
    });
    await makeEntries(left.path, sample());
    await makeEntries(right.path, exchanged);
    const found = await compareTrees(left.path, right.path, { rsync: false });
    expect(found.length).toBeGreaterThan(0);
    expect(found.every(({ what }) => what.startsWith("first name: "))).toBe(true);
  });

  it.each(Object.entries(CHANGES))("sees %s", async (_, { path, change, says, rsyncBlind }) => {
    using left = mountFilesystem({ kind: "tmpfs" });
    using right = mountFilesystem({ kind: "tmpfs" });
    await makeEntries(left.path, sample());
    await makeEntries(right.path, sampleWith(path, change));
    const found = await compareTrees(left.path, right.path);
    expect(found).toContainEqual({ path, what: expect.stringMatching(says) as string });
    const byRsync = found.filter(({ what }) => what.startsWith("rsync"));
    expect(byRsync.length > 0).toBe(rsyncBlind !== true);
  });
});
