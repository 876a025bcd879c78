/** Modes, owners, times, extended attributes and ACLs, each at its extremes and on every type of entry that bears it. */
import { sharedAcl } from "../acl.ts";
import { directory, entry, file, seconds, symlink, type Entry, type Xattr } from "../entry.ts";
import type { FilesystemLimits } from "../limits.ts";
import type { RandomBytes } from "../random-bytes.ts";

const MODES = [
  0o0000, 0o0001, 0o0222, 0o0400, 0o0444, 0o0600, 0o0755, 0o0777, 0o1644, 0o2755, 0o4755, 0o6711,
  0o7777,
];
const LARGEST_ID = 4_294_967_294;

export function modes(): Entry[] {
  const text = (mode: number): string => mode.toString(8).padStart(4, "0");
  return [
    directory("modes"),
    ...MODES.map((mode) => file(`modes/file-${text(mode)}`, `mode ${text(mode)}\n`, { mode })),
    ...MODES.flatMap((mode) => [
      directory(`modes/directory-${text(mode)}`, { mode }),
      file(`modes/directory-${text(mode)}/child`, "reached all the same\n", { mode: 0o640 }),
      directory(`modes/directory-${text(mode)}/below`, { mode: 0o750 }),
    ]),
  ];
}

export function owners(): Entry[] {
  const pairs = [
    [0, 0],
    [0, 1],
    [1, 0],
    [65_534, 65_534],
    [65_536, 65_537],
    [2_147_483_648, 2_147_483_647],
    [LARGEST_ID, LARGEST_ID],
  ] as const;
  return [
    directory("owners"),
    ...pairs.flatMap(([uid, gid]) => [
      file(`owners/file-${uid}-${gid}`, "", { uid, gid }),
      directory(`owners/directory-${uid}-${gid}`, { uid, gid }),
      symlink(`owners/symlink-${uid}-${gid}`, "nowhere", { uid, gid }),
      entry(`owners/fifo-${uid}-${gid}`, { type: "fifo" }, { uid, gid }),
    ]),
    file("owners/setuid-of-another", "#!/bin/false\n", { uid: 33, gid: 33, mode: 0o6755 }),
  ];
}

export function times(limits: FilesystemLimits): Entry[] {
  const moments = {
    epoch: seconds(0),
    "one-nanosecond": seconds(0, 1),
    "last-nanosecond": seconds(1_700_000_000, 999_999_999),
    "before-1970": seconds(-2, 500_000_000),
    "year-1902": seconds(-2_145_916_800, 7),
    "after-2038": seconds(2_147_483_648, 123_456_789),
    "after-2106": seconds(4_294_967_296, 1),
    latest: seconds(limits.latestSecond, 999_999_999),
  };
  return [
    directory("times", { mtime: seconds(-86_400, 3) }),
    ...Object.entries(moments).flatMap(([name, mtime]) => [
      file(`times/file-${name}`, name, { mtime }),
      directory(`times/directory-${name}`, { mtime }),
      file(`times/directory-${name}/child`, "written after its parent's time was set\n"),
      symlink(`times/symlink-${name}`, `file-${name}`, { mtime }),
      entry(`times/fifo-${name}`, { type: "fifo" }, { mtime }),
      entry(
        `times/device-${name}`,
        { type: "device", device: "char", major: 1, minor: 3 },
        { mtime },
      ),
    ]),
  ];
}

/** VFS_CAP_REVISION_2 with cap_net_bind_service permitted and effective. */
export function netBindCapability(): Xattr {
  const value = Buffer.alloc(20);
  value.writeUInt32LE(0x0200_0001, 0);
  value.writeUInt32LE(1 << 10, 4);
  return { name: "security.capability", value };
}

export function xattrs(random: RandomBytes, limits: FilesystemLimits): Entry[] {
  const user = (name: string, value: Buffer | string): Xattr => ({
    name: `user.${name}`,
    value: Buffer.from(value),
  });
  const trusted = (name: string): Xattr => ({
    name: `trusted.${name}`,
    value: Buffer.from("kept for root"),
  });
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const many = Array.from({ length: 24 }, (_, index) => user(`n${index}`, String(index)));
  return [
    directory("xattrs", { xattrs: [user("of-a-directory", "yes"), trusted("of-a-directory")] }),
    file("xattrs/empty-value", "", { xattrs: [user("empty", "")] }),
    file("xattrs/binary-value", "", { xattrs: [user("binary", everyByte)] }),
    file("xattrs/big-value", "", { xattrs: [user("big", random.bytes(limits.xattrBytes))] }),
    file("xattrs/many", "", { xattrs: many }),
    file("xattrs/long-name", "", { xattrs: [user("n".repeat(250), "255 bytes with its prefix")] }),
    file("xattrs/odd-name", "", {
      xattrs: [user('a=b c"d\\e', "quoted"), user("\u00e9", "latin1")],
    }),
    file("xattrs/read-only-file", "data", { mode: 0o444, xattrs: [user("on-read-only", "yes")] }),
    file("xattrs/capability", "#!/bin/false\n", {
      mode: 0o755,
      uid: 12,
      gid: 34,
      xattrs: [netBindCapability()],
    }),
    file("xattrs/setuid-and-capability", "x", {
      mode: 0o4755,
      uid: 5,
      xattrs: [netBindCapability()],
    }),
    file("xattrs/trusted", "", { xattrs: [trusted("of-a-file")] }),
    symlink("xattrs/symlink", "nowhere", { xattrs: [trusted("of-a-symlink")] }),
    entry("xattrs/fifo", { type: "fifo" }, { xattrs: [trusted("of-a-fifo")] }),
    entry(
      "xattrs/device",
      { type: "device", device: "char", major: 5, minor: 1 },
      { xattrs: [trusted("of-a-device")] },
    ),
  ];
}

export function acls(): Entry[] {
  const access = sharedAcl("access", 4_000_000_000, 2000);
  const inherited = sharedAcl("default", 2001, 4_000_000_001);
  return [
    directory("acls"),
    file("acls/file", "shared\n", { mode: 0o750, xattrs: [access] }),
    file("acls/setgid-file", "shared\n", { mode: 0o2750, xattrs: [access] }),
    entry("acls/fifo", { type: "fifo" }, { mode: 0o750, xattrs: [access] }),
    directory("acls/access-only", { mode: 0o750, xattrs: [access] }),
    directory("acls/default-only", { mode: 0o770, xattrs: [inherited] }),
    file("acls/default-only/without-an-acl", "must not inherit\n", { mode: 0o600 }),
    directory("acls/default-only/directory-without-an-acl", { mode: 0o711 }),
    entry("acls/default-only/fifo-without-an-acl", { type: "fifo" }, { mode: 0o600 }),
    directory("acls/both", { mode: 0o2750, xattrs: [access, inherited] }),
    directory("acls/both/below", { mode: 0o750, xattrs: [inherited] }),
    file("acls/both/below/file", "deeper\n", { mode: 0o666 }),
  ];
}

/** Directories that make life hard for whoever writes into them before their metadata is final. */
export function hardDirectories(): Entry[] {
  return [
    directory("hard"),
    directory("hard/read-only", { mode: 0o555 }),
    file("hard/read-only/child", "in a read-only directory\n", { mode: 0o444 }),
    directory("hard/read-only/directory", { mode: 0o555 }),
    file("hard/read-only/directory/child", "deeper\n", { mode: 0o400 }),
    directory("hard/closed", { mode: 0o000 }),
    file("hard/closed/child", "in a closed directory\n", { mode: 0o000 }),
    directory("hard/setgid", { mode: 0o2775, gid: 4242 }),
    file("hard/setgid/of-another-group", "must not inherit the group\n", { gid: 17 }),
    directory("hard/setgid/without-setgid", { mode: 0o755, gid: 18 }),
    directory("hard/sticky", { mode: 0o1777, uid: 0, gid: 0 }),
    file("hard/sticky/of-somebody", "mine\n", { uid: 777, gid: 777 }),
  ];
}
