/** Items and differences, what a session tells of single entries: a part of the boundary, see types.ts. */

/** "repaired": not on the medium as written, and written again; "corrupted": not even then. */
export type ItemClass =
  | "unreadable"
  | "not-written"
  | "not-kept"
  | "changed"
  | "skipped"
  | "repaired"
  | "corrupted";

export interface Item {
  readonly side: "source" | "target";
  readonly class: ItemClass;
  readonly path: string | null;
  readonly pathBytes: string | null;
  /** What could not be read or kept: "data", "owner", "mode", "times", "xattr user.x", "hard link", "mount point" ... */
  readonly what: string;
  readonly errno: string | null;
  readonly detail: string;
}

/**
 * "extra": the target has it, the source has not. "missing": the target has nothing of this kind under the name.
 * "replaced": a copy would send it, or make it anew. "attributes": it would get attributes, or names.
 */
export type Change = "extra" | "missing" | "replaced" | "attributes";

/** "link": a further name of an inode, which is not linked to it here, or shares its differences. */
export type Aspect =
  | "content"
  | "size"
  | "time"
  | "mode"
  | "owner"
  | "group"
  | "acl"
  | "xattrs"
  | "link";

export type EntryKind = "file" | "directory" | "symlink" | "fifo" | "socket" | "device";

export interface Difference {
  readonly change: Change;
  /** Of the source's entry; of an extra one, the target's. */
  readonly kind: EntryKind;
  /** Empty for what is extra or missing, but for a missing name of an inode. */
  readonly aspects: readonly Aspect[];
  /** Both are about the path from the volume's root, which is empty for the root itself. */
  readonly path: string | null;
  readonly pathBytes: string | null;
  /** What a symlink of the source points to; the name that a hard link is one with. Both null for everything else. */
  readonly to: string | null;
  readonly toBytes: string | null;
}
