/** POSIX ACLs in the form the kernel keeps them: system.posix_acl_access and system.posix_acl_default. */
import type { Xattr } from "./entry.ts";

const VERSION = 2;
const NO_ID = 0xffff_ffff;
const TAGS = {
  owner: 0x01,
  user: 0x02,
  ownerGroup: 0x04,
  group: 0x08,
  mask: 0x10,
  other: 0x20,
} as const;

export interface AclEntry {
  readonly tag: keyof typeof TAGS;
  /** Only for "user" and "group". */
  readonly id?: number;
  /** rwx as 0 to 7. */
  readonly permissions: number;
}

/** Entries must stand in the kernel's order: owner, users by id, owner group, groups by id, mask, other. */
function acl(kind: "access" | "default", entries: readonly AclEntry[]): Xattr {
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(VERSION, 0);
  entries.forEach((each, index) => {
    const at = 4 + 8 * index;
    value.writeUInt16LE(TAGS[each.tag], at);
    value.writeUInt16LE(each.permissions, at + 2);
    value.writeUInt32LE(each.id ?? NO_ID, at + 4);
  });
  return { name: `system.posix_acl_${kind}`, value };
}

/** A typical ACL: one more user, one more group, and a mask that takes something away. */
export function sharedAcl(kind: "access" | "default", user: number, group: number): Xattr {
  return acl(kind, [
    { tag: "owner", permissions: 7 },
    { tag: "user", id: user, permissions: 6 },
    { tag: "ownerGroup", permissions: 5 },
    { tag: "group", id: group, permissions: 7 },
    { tag: "mask", permissions: 5 },
    { tag: "other", permissions: 0 },
  ]);
}
