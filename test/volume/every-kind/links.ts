/** Symbolic links, hard links and special files. */
import { directory, entry, file, link, symlink, type Entry } from "../entry.ts";
import type { FilesystemLimits } from "../limits.ts";

const NAMES_OF_ONE = 200;

export function symlinks({ symlinkBytes }: FilesystemLimits): Entry[] {
  return [
    directory("symlinks"),
    file("symlinks/file", "pointed at\n"),
    symlink("symlinks/relative", "file"),
    symlink("symlinks/absolute", "/etc/passwd"),
    symlink("symlinks/absolute-directory", "/"),
    symlink("symlinks/dangling", "no/such/file"),
    symlink("symlinks/upwards", "../../../../../../../../etc/passwd"),
    symlink("symlinks/to-itself", "to-itself"),
    symlink("symlinks/to-a-directory", ".."),
    symlink("symlinks/trailing-slash", "../symlinks/"),
    symlink("symlinks/odd-bytes", "\xff\xfe\n\u001b[2J"),
    symlink("symlinks/longest", "t".repeat(symlinkBytes)),
    symlink("symlinks/longest-path", `/${"d/".repeat((symlinkBytes - 1) / 2)}`),
    symlink("symlinks/munged-by-others", "/rsyncd-munged/file"),
  ];
}

export function hardLinks(): Entry[] {
  const many = Array.from({ length: NAMES_OF_ONE - 1 }, (_, index) =>
    link(`links/many/${index + 1}`, "links/many/0"),
  );
  return [
    directory("links"),
    directory("links/a"),
    directory("links/b"),
    file("links/a/file", "two names\n", { mode: 0o4711 }),
    link("links/b/file", "links/a/file"),
    file("links/a/empty", ""),
    link("links/b/empty", "links/a/empty"),
    file("links/b/later-name", "the first name comes later in the scan\n"),
    link("links/a/earlier-name", "links/b/later-name"),
    file("links/large", Buffer.alloc(9 * 1024 * 1024, "large enough for ranges ")),
    link("links/b/large", "links/large"),
    symlink("links/a/symlink", "file"),
    link("links/b/symlink", "links/a/symlink"),
    entry("links/a/fifo", { type: "fifo" }, { mode: 0o622 }),
    link("links/b/fifo", "links/a/fifo"),
    entry("links/a/socket", { type: "socket" }),
    link("links/b/socket", "links/a/socket"),
    entry("links/a/device", { type: "device", device: "char", major: 1, minor: 5 }),
    link("links/b/device", "links/a/device"),
    directory("links/many"),
    file("links/many/0", "two hundred names\n"),
    ...many,
    // As equal as can be, yet two files.
    file("links/a/not-linked", "same bytes\n"),
    file("links/b/not-linked", "same bytes\n"),
  ];
}

export function specials(): Entry[] {
  const node = (name: string, device: "char" | "block", major: number, minor: number): Entry =>
    entry(
      `specials/${name}`,
      { type: "device", device, major, minor },
      { mode: 0o660, uid: 0, gid: 6 },
    );
  return [
    directory("specials"),
    entry("specials/fifo", { type: "fifo" }, { mode: 0o600 }),
    entry("specials/socket", { type: "socket" }, { mode: 0o755 }),
    node("null", "char", 1, 3),
    node("tty", "char", 5, 0),
    node("disk", "block", 8, 1),
    node("large-numbers", "block", 511, 262_143),
    node("zero-numbers", "char", 0, 0),
    node("minor-over-255", "char", 10, 300),
  ];
}
