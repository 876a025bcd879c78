/**
 * The root digests of a tree, computed as docs/protocol.md ("Digests") says and by nothing of pvferry's: find, getfattr
 * and stat look at the tree, and every hash is a b3sum process. Slow, and meant to be read beside the document.
 */
import { lstatSync, readFileSync } from "node:fs";

import { xattrsOf, type Attributes } from "./attributes.ts";
import { toolOutput } from "./run-tool.ts";
import { listTree, type Tree, type TreeEntry } from "./tree.ts";

const PIECE = 524_288;
const BLOCK_FORM_HOLES = 1_073_741_824;
const BLOCK_FORM_CONTEXT = "pvferry 2026-11-22 block form of a sparse file";
const KINDS: { readonly [type: string]: number } = { f: 1, d: 2, l: 3, p: 4, s: 5, c: 6, b: 7 };

export interface Roots {
  readonly content: string;
  readonly metadata: string;
}

interface Leaves {
  readonly content: Buffer;
  readonly metadata: Buffer;
}

const known = new Map<string, Buffer>();

async function b3sum(data: Buffer, flags: readonly string[] = []): Promise<Buffer> {
  const input = data.toString("latin1");
  const key = `${flags.join(" ")} ${input}`;
  const before = known.get(key);
  if (before !== undefined) return before;
  const text = await toolOutput({ command: "b3sum", args: ["--no-names", ...flags], input });
  const digest = Buffer.from(text.trim(), "hex");
  if (input.length < 1024) known.set(key, digest);
  return digest;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function i64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}

async function join(left: Buffer, right: Buffer): Promise<Buffer> {
  return b3sum(Buffer.concat([Buffer.from([1]), left, right]));
}

async function treeRoot(leaves: readonly Buffer[]): Promise<Buffer> {
  const [first] = leaves;
  if (first === undefined) return b3sum(Buffer.alloc(0));
  if (leaves.length === 1) return first;
  const half = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return join(await treeRoot(leaves.slice(0, half)), await treeRoot(leaves.slice(half)));
}

async function blockForm(data: Buffer): Promise<Buffer> {
  const [zeros, zeroDigest] = [Buffer.alloc(PIECE), await b3sum(Buffer.alloc(PIECE))];
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += PIECE) {
    const piece = data.subarray(at, at + PIECE);
    pieces.push(piece.equals(zeros) ? zeroDigest : await b3sum(piece));
  }
  const sized = Buffer.concat([i64(BigInt(data.length)), await treeRoot(pieces)]);
  return b3sum(sized, ["--derive-key", BLOCK_FORM_CONTEXT]);
}

class Digester {
  readonly #root: string;
  readonly #tree: Tree;
  readonly #xattrs: Attributes;
  readonly #groups = new Map<string, Buffer[]>();

  constructor(root: string, tree: Tree, xattrs: Attributes) {
    this.#root = root;
    this.#tree = tree;
    this.#xattrs = xattrs;
  }

  async roots(): Promise<Roots> {
    const top = this.#tree.get("");
    if (top === undefined) throw new Error("find did not list the root");
    const leaves = await this.#leaves(top, Buffer.alloc(32));
    const groups = [...this.#groups.values()].filter((names) => names.length > 1);
    const digests: Buffer[] = [];
    for (const names of groups) digests.push(await b3sum(sorted(names)));
    const links = await b3sum(sorted(digests));
    const metadata = await join(leaves.metadata, links);
    return { content: leaves.content.toString("hex"), metadata: metadata.toString("hex") };
  }

  async #leaves(entry: TreeEntry, pathHash: Buffer): Promise<Leaves> {
    const name = Buffer.from(entry.path.slice(entry.path.lastIndexOf("/") + 1), "latin1");
    const kind = KINDS[entry.type] ?? 0;
    const start = Buffer.concat([Buffer.from([0, kind, name.length]), name]);
    const { content, metadata } = await this.#payload(entry, pathHash);
    return {
      content: await b3sum(Buffer.concat([start, content])),
      metadata: await b3sum(Buffer.concat([start, this.#metadata(entry), metadata])),
    };
  }

  async #payload(entry: TreeEntry, pathHash: Buffer): Promise<Leaves> {
    const nothing = Buffer.alloc(0);
    if (entry.type === "d") return this.#directory(entry, pathHash);
    this.#groups.set(entry.inode, [...(this.#groups.get(entry.inode) ?? []), pathHash]);
    if (entry.type === "f") return { content: await this.#file(entry), metadata: nothing };
    if (entry.type === "l") {
      return { content: Buffer.from(entry.facts.get("target") ?? "", "latin1"), metadata: nothing };
    }
    const device = entry.facts.get("device")?.split(":") ?? [];
    const numbers = device.map((hex) => u32(Number.parseInt(hex, 16)));
    return { content: Buffer.concat(numbers), metadata: nothing };
  }

  async #directory(entry: TreeEntry, pathHash: Buffer): Promise<Leaves> {
    const prefix = entry.path === "" ? "" : `${entry.path}/`;
    const isChild = ({ path }: TreeEntry): boolean =>
      path !== "" && path.startsWith(prefix) && !path.slice(prefix.length).includes("/");
    const children = [...this.#tree.values()].filter(isChild);
    children.sort((a, b) => (a.path < b.path ? -1 : 1));
    const content: Buffer[] = [];
    const metadata: Buffer[] = [];
    for (const child of children) {
      const name = Buffer.from(child.path.slice(prefix.length), "latin1");
      const leaves = await this.#leaves(child, await b3sum(Buffer.concat([pathHash, name])));
      content.push(leaves.content);
      metadata.push(leaves.metadata);
    }
    const below = Buffer.concat([Buffer.from([1]), await treeRoot(metadata)]);
    return { content: await treeRoot(content), metadata: below };
  }

  async #file(entry: TreeEntry): Promise<Buffer> {
    const place = this.#place(entry);
    const { size, blocks } = lstatSync(place);
    const data = readFileSync(place);
    const block = size - blocks * 512 > BLOCK_FORM_HOLES;
    const digest = block ? await blockForm(data) : await b3sum(data);
    return Buffer.concat([Buffer.from([block ? 1 : 0]), digest]);
  }

  #metadata(entry: TreeEntry): Buffer {
    const mode = entry.type === "l" ? 0 : Number.parseInt(entry.facts.get("mode") ?? "", 8);
    const { mtimeNs } = lstatSync(this.#place(entry), { bigint: true });
    const nanoseconds = BigInt.asUintN(64, ((mtimeNs % 10n ** 9n) + 10n ** 9n) % 10n ** 9n);
    const seconds = (mtimeNs - nanoseconds) / 10n ** 9n;
    return Buffer.concat([
      u32(mode),
      u32(Number(entry.facts.get("uid"))),
      u32(Number(entry.facts.get("gid"))),
      i64(seconds),
      u32(Number(nanoseconds)),
      ...this.#attributes(entry),
    ]);
  }

  #attributes(entry: TreeEntry): Buffer[] {
    const lines = (this.#xattrs.get(entry.path) ?? "").split("\n").filter(Boolean);
    const pairs = lines.map((line) => {
      const [name = "", value = ""] = line.split("=");
      return { name: Buffer.from(name, "latin1"), value: Buffer.from(value.slice(2), "hex") };
    });
    pairs.sort((a, b) => Buffer.compare(a.name, b.name));
    return pairs.flatMap(({ name, value }) => [u32(name.length), name, u32(value.length), value]);
  }

  #place(entry: TreeEntry): Buffer {
    return Buffer.concat([Buffer.from(`${this.#root}/`), Buffer.from(entry.path, "latin1")]);
  }
}

function sorted(digests: readonly Buffer[]): Buffer {
  return Buffer.concat(digests.toSorted((a, b) => Buffer.compare(a, b)));
}

/** The roots of the tree at `root`, whose attributes bear names that getfattr does not escape. */
export async function documentedRoots(root: string): Promise<Roots> {
  const tree = await listTree(root, []);
  return new Digester(root, tree, await xattrsOf(root, tree)).roots();
}
