/** Random trees for property tests: any name, any kind, any metadata that all file systems can hold. */
import fc from "fast-check";

import { sharedAcl } from "./acl.ts";
import { entry, type Content, type Entry, type Metadata, type Xattr } from "./entry.ts";
import { randomBytes } from "./random-bytes.ts";

const EARLIEST = -2_147_483_000n * 1_000_000_000n;
const LATEST = 15_000_000_000n * 1_000_000_000n;
const LARGEST_ID = 4_294_967_294;
const BLOCK = 4096;

interface Sketch {
  /** Which of the directories so far holds it, modulo their number. */
  readonly parent: number;
  readonly name: string;
  readonly content:
    | Exclude<Content, { type: "link" | "written" }>
    | { readonly type: "link"; readonly to: number };
  readonly metadata: Metadata;
}

const byte = fc
  .integer({ min: 1, max: 255 })
  .map((code) => (code === 0x2f ? "\\" : String.fromCharCode(code)));
const name = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.array(byte, { minLength: 1, maxLength: 12 }).map((bytes) => bytes.join("")),
    },
    { weight: 1, arbitrary: byte.map((each) => each.repeat(255)) },
  )
  .map((text) => (text === "." || text === ".." ? "..." : text));

const size = fc.oneof(
  fc.integer({ min: 0, max: 300_000 }),
  fc.constantFrom(0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 1_048_577),
);

/** Some blocks of a file hold data, the others are holes; or all of it is data. */
const fileContent = fc
  .record({ size, seed: fc.nat(), holes: fc.boolean() })
  .map(({ size: length, seed, holes }): Content => {
    const data = randomBytes(String(seed)).bytes(length);
    const offsets = Array.from({ length: Math.ceil(length / BLOCK) }, (_, index) => index * BLOCK);
    const kept = holes ? offsets.filter((_, index) => (seed >> (index % 30)) & 1) : offsets;
    return {
      type: "file",
      size: length,
      extents: kept.map((offset) => ({ offset, data: data.subarray(offset, offset + BLOCK) })),
    };
  });

const target = fc.array(byte, { minLength: 1, maxLength: 900 }).map((bytes) => bytes.join(""));
const device = fc.record({
  device: fc.constantFrom("char" as const, "block" as const),
  major: fc.nat(511),
  minor: fc.nat(262_143),
});

const content = fc.oneof(
  { weight: 5, arbitrary: fileContent },
  { weight: 4, arbitrary: fc.constant({ type: "directory" } as const) },
  { weight: 2, arbitrary: target.map((text) => ({ type: "symlink", target: text }) as const) },
  { weight: 2, arbitrary: fc.nat().map((to) => ({ type: "link", to }) as const) },
  { weight: 1, arbitrary: fc.constantFrom({ type: "fifo" } as const, { type: "socket" } as const) },
  { weight: 1, arbitrary: device.map((each) => ({ type: "device", ...each }) as const) },
);

const xattr = fc.record({
  name: fc.constantFrom("user.a", "user.b", "trusted.c"),
  value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

const id = fc.oneof(fc.nat(3), fc.integer({ min: 0, max: LARGEST_ID }));

const metadata = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: id,
  gid: id,
  mtime: fc.bigInt({ min: EARLIEST, max: LATEST }),
  xattrs: fc.uniqueArray(xattr, { selector: (each) => each.name, maxLength: 3 }),
  access: fc.option(id),
  inherited: fc.option(id),
});

/** Only what this type of entry can bear; an ACL's user must not be a second entry for the same id. */
function bearable(
  type: Content["type"],
  drawn: Metadata & { access: number | null; inherited: number | null },
): Metadata {
  const { access, inherited, ...rest } = drawn;
  const isPlain = type === "file" || type === "directory";
  const acls: Xattr[] = [
    ...(access !== null && type !== "symlink" ? [sharedAcl("access", access, 7)] : []),
    ...(inherited !== null && type === "directory" ? [sharedAcl("default", inherited, 8)] : []),
  ];
  return {
    ...rest,
    xattrs: [...rest.xattrs.filter((each) => isPlain || each.name.startsWith("trusted.")), ...acls],
  };
}

const sketch: fc.Arbitrary<Sketch> = fc
  .record({ parent: fc.nat(), name, content, metadata })
  .map((drawn) => ({ ...drawn, metadata: bearable(drawn.content.type, drawn.metadata) }) as Sketch);

/** Names that are taken fall away; links without anything to link to as well. */
function asEntries(root: Metadata, sketches: readonly Sketch[]): Entry[] {
  const entries = new Map<string, Entry>([["", entry("", { type: "directory" }, root)]]);
  const directories = [""];
  const linkable: string[] = [];
  for (const { parent, name: last, content: what, metadata: kept } of sketches) {
    const above = directories[parent % directories.length] ?? "";
    const path = above === "" ? last : `${above}/${last}`;
    if (entries.has(path) || (above === "" && last === "lost+found")) continue;
    const to = what.type === "link" ? linkable[what.to % linkable.length] : undefined;
    if (what.type === "link") {
      if (to !== undefined) entries.set(path, entry(path, { type: "link", to }));
      continue;
    }
    entries.set(path, entry(path, what, kept));
    (what.type === "directory" ? directories : linkable).push(path);
  }
  return [...entries.values()];
}

export const randomTree: fc.Arbitrary<Entry[]> = fc
  .record({
    root: metadata.map((drawn) => bearable("directory", drawn)),
    sketches: fc.array(sketch, { minLength: 10, maxLength: 60, size: "max" }),
  })
  .map(({ root, sketches }) => asEntries(root, sketches));
