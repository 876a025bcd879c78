/**
 * What a test volume is made of, as plain data. Paths, names and link targets are bytes held in latin1 strings (one
 * character per byte), so that any name a kernel accepts can be written down and compared.
 */

export interface Xattr {
  readonly name: string;
  readonly value: Buffer;
}

export interface Metadata {
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970; may be negative. */
  readonly mtime: bigint;
  /** System ACLs are given here too, in their kernel form (acl.ts). */
  readonly xattrs: readonly Xattr[];
}

export interface Extent {
  readonly offset: number;
  readonly data: Buffer;
}

export type Content =
  | { readonly type: "directory" }
  | { readonly type: "file"; readonly size: number; readonly extents: readonly Extent[] }
  /** A file that the maker has already written by itself; only its metadata is applied. */
  | { readonly type: "written" }
  | { readonly type: "symlink"; readonly target: string }
  | { readonly type: "fifo" }
  | { readonly type: "socket" }
  | {
      readonly type: "device";
      readonly device: "char" | "block";
      readonly major: number;
      readonly minor: number;
    }
  | { readonly type: "link"; readonly to: string };

export interface Entry extends Metadata {
  /** Relative to the volume's root; "" is the root itself. */
  readonly path: string;
  readonly content: Content;
}

const NANOSECONDS = 1_000_000_000n;

/** 2024-02-29T12:34:56.123456789Z: what an entry gets when its time is not what it is there for. */
export const ORDINARY_MTIME = 1_709_210_096n * NANOSECONDS + 123_456_789n;

/** Bytes of a text, one character each. */
export function bytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function seconds(whole: number, nanoseconds = 0): bigint {
  return BigInt(whole) * NANOSECONDS + BigInt(nanoseconds);
}

function ordinaryMode(content: Content): number {
  return content.type === "directory" ? 0o755 : content.type === "symlink" ? 0o777 : 0o644;
}

/** An entry with everything that was not said set to something ordinary. */
export function entry(path: string, content: Content, metadata: Partial<Metadata> = {}): Entry {
  return {
    path,
    content,
    mode: ordinaryMode(content),
    uid: 1000,
    gid: 1000,
    mtime: ORDINARY_MTIME,
    xattrs: [],
    ...metadata,
  };
}

export function directory(path: string, metadata: Partial<Metadata> = {}): Entry {
  return entry(path, { type: "directory" }, metadata);
}

export function file(path: string, data: Buffer | string, metadata: Partial<Metadata> = {}): Entry {
  const bytes = typeof data === "string" ? Buffer.from(data, "utf8") : data;
  const extents = bytes.length === 0 ? [] : [{ offset: 0, data: bytes }];
  return entry(path, { type: "file", size: bytes.length, extents }, metadata);
}

export function sparseFile(path: string, size: number, extents: readonly Extent[]): Entry {
  return entry(path, { type: "file", size, extents });
}

export function symlink(path: string, target: string, metadata: Partial<Metadata> = {}): Entry {
  return entry(path, { type: "symlink", target }, metadata);
}

/** A further name of an entry that stands earlier in the list. It has no metadata of its own. */
export function link(path: string, to: string): Entry {
  return entry(path, { type: "link", to });
}
