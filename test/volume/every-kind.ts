/** A small volume that holds every kind of entry a copy has to keep. */
import { sharedAcl } from "./acl.ts";
import { directory, file, seconds, type Entry } from "./entry.ts";
import { sizes, sparse } from "./every-kind/contents.ts";
import { hardLinks, specials, symlinks } from "./every-kind/links.ts";
import { acls, hardDirectories, modes, owners, times, xattrs } from "./every-kind/metadata.ts";
import { deepPath, names } from "./every-kind/names.ts";
import type { FilesystemLimits } from "./limits.ts";
import { randomBytes } from "./random-bytes.ts";

/** The volume's own directory, as little ordinary as can be. */
function root(): Entry {
  return directory("", {
    mode: 0o2770,
    uid: 1234,
    gid: 4_000_000_000,
    mtime: seconds(1_000_000_000, 987_654_321),
    xattrs: [
      { name: "user.volume", value: Buffer.from("root") },
      sharedAcl("access", 1001, 2000),
      sharedAcl("default", 1002, 2001),
    ],
  });
}

export function everyKind(limits: FilesystemLimits, seed = "every kind"): Entry[] {
  const random = randomBytes(seed);
  return [
    root(),
    file("at-the-root", "first\n"),
    ...sizes(random),
    ...sparse(random),
    ...modes(),
    ...owners(),
    ...times(limits),
    ...xattrs(random, limits),
    ...acls(),
    ...hardDirectories(),
    ...names(),
    ...deepPath(),
    ...symlinks(limits),
    ...hardLinks(),
    ...specials(),
  ];
}

/** What belongs to the source's own file system and must stay there. */
export function lostAndFound(): Entry[] {
  return [
    directory("lost+found", { mode: 0o700, uid: 0, gid: 0 }),
    file("lost+found/#12345", "found by fsck, not part of the volume\n", {
      uid: 0,
      gid: 0,
      mode: 0o600,
    }),
  ];
}

/** The same entries beneath a directory. */
export function beneath(parent: string, entries: readonly Entry[]): Entry[] {
  const moved = (path: string): string => (path === "" ? parent : `${parent}/${path}`);
  return entries.map((each) => ({
    ...each,
    path: moved(each.path),
    content:
      each.content.type === "link" ? { type: "link", to: moved(each.content.to) } : each.content,
  }));
}
