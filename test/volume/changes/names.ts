/** Changes to names: what is there, of what type, and which names belong together. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";

import { fileAt, statOf, type Change } from "./change.ts";

function gone(path: string): string {
  rmSync(path, { recursive: true, force: true });
  return path;
}

export const NAME_CHANGES: { readonly [name: string]: Change } = {
  deleted: ({ path }) => void gone(path()),
  renamed: ({ path }) => {
    const [from, to] = [path(), path()];
    if (statOf(from) === null || to === from || `${to}/`.startsWith(`${from}/`)) return;
    gone(to);
    if (existsSync(from)) renameSync(from, to);
  },
  "two names exchanged": ({ path }) => {
    const [one, other] = [path(), path()];
    if (fileAt(one) === null || fileAt(other) === null || one === other) return;
    renameSync(one, `${one}~`);
    renameSync(other, one);
    renameSync(`${one}~`, other);
  },
  "now a symlink": ({ path, random }) => {
    symlinkSync(`somewhere-${random.below(9)}`, gone(path()));
  },
  "now a FIFO": ({ path }) => void execFileSync("mkfifo", [gone(path())]),
  "now a socket": ({ path }) => {
    const script =
      "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); chdir $ARGV[0]; bind(S, pack_sockaddr_un($ARGV[1])) or die $!";
    const target = gone(path());
    const at = target.lastIndexOf("/");
    execFileSync("perl", ["-e", script, target.slice(0, at), target.slice(at + 1)]);
  },
  "now a device": ({ path, random, privileged }) => {
    if (!privileged) return;
    execFileSync("mknod", [
      gone(path()),
      random.below(2) === 0 ? "c" : "b",
      "7",
      `${random.below(4)}`,
    ]);
  },
  "now a directory": ({ path, random }) => {
    const target = gone(path());
    mkdirSync(`${target}/deeper`, { recursive: true });
    writeFileSync(`${target}/deeper/file`, random.bytes(random.below(3_000)));
  },
  "another name": ({ path }) => {
    const [from, to] = [path(), path()];
    const stat = statOf(from);
    if (stat !== null && !stat.isDirectory() && statOf(to) === null) linkSync(from, to);
  },
  // The same bytes and time under another inode. cp makes holes of a sparse file's zeros, which its time has to tell.
  "a link broken": ({ path }) => {
    const target = path();
    const stat = fileAt(target);
    if (stat === null) return;
    const keep = 512 * stat.blocks < stat.size ? "mode,ownership" : "mode,ownership,timestamps";
    execFileSync("cp", [`--preserve=${keep}`, target, `${target}~`]);
    renameSync(`${target}~`, target);
  },
  // One name becomes another one's file, which may have been linked elsewhere.
  "a link moved": ({ path }) => {
    const [from, to] = [path(), path()];
    if (fileAt(from) === null || fileAt(to) === null || from === to) return;
    linkSync(from, `${to}~`);
    renameSync(`${to}~`, to);
    // Two names of one inode: rename(2) leaves both.
    gone(`${to}~`);
  },
};
