/** A small tree with one of everything the judge looks at, and what may be changed in it. */
import { sharedAcl } from "../volume/acl.ts";
import { directory, entry, file, link, sparseFile, symlink, type Entry } from "../volume/entry.ts";
import { netBindCapability } from "../volume/every-kind/metadata.ts";

const MIB = 1024 * 1024;
const DEEP = Array.from({ length: 30 }, (_, level) => `${level}${"d".repeat(190)}`);

/** The deepest directory of the sample, some 5,800 bytes of path. */
export const BOTTOM = ["deep", ...DEEP].join("/");
export const ODD_NAME = "odd\n\\012\u001b[2J\xff =\"'";

function deepDirectories(): Entry[] {
  return ["deep", ...DEEP].map((_, level) =>
    directory(["deep", ...DEEP.slice(0, level)].join("/")),
  );
}

export function sample(): Entry[] {
  const user = { name: "user.note", value: Buffer.from("a\0b") };
  return [
    directory("", { xattrs: [user, sharedAcl("default", 5, 6)] }),
    directory("directory", { xattrs: [sharedAcl("access", 7, 8), sharedAcl("default", 9, 10)] }),
    file("file", "text\n", { xattrs: [user, { name: "user.empty", value: Buffer.alloc(0) }] }),
    file("acl", "text\n", { mode: 0o750, xattrs: [sharedAcl("access", 7, 8)] }),
    file("program", "x", { mode: 0o4755, xattrs: [netBindCapability()] }),
    file("large", Buffer.alloc(3 * MIB, "large ")),
    sparseFile("sparse", 8 * MIB, [{ offset: 4 * MIB, data: Buffer.alloc(65_536, 1) }]),
    sparseFile("zeros", MIB, [{ offset: 65_536, data: Buffer.alloc(65_536) }]),
    file("linked", "several names\n"),
    file("other", "several names\n"),
    link("directory/linked", "linked"),
    link("directory/other", "other"),
    symlink("symlink", "target", { xattrs: [{ name: "trusted.t", value: Buffer.from("t") }] }),
    entry("fifo", { type: "fifo" }),
    entry("socket", { type: "socket" }),
    entry("device", { type: "device", device: "char", major: 1, minor: 3 }),
    file(ODD_NAME, "text\n", { xattrs: [user] }),
    ...deepDirectories(),
    file(`${BOTTOM}/file`, "deep\n", { mode: 0o750, xattrs: [user, sharedAcl("access", 7, 8)] }),
  ];
}

/** The sample with one entry replaced by what `change` makes of it; null takes it away. */
export function sampleWith(path: string, change: (found: Entry) => Entry | null): Entry[] {
  return sample().flatMap((each) => (each.path === path ? (change(each) ?? []) : each));
}
