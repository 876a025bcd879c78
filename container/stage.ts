/**
 * Lays out the root file system of the image: what is in dist/, the packages it needs at run time, Node, and the shared
 * libraries of both from this machine.
 *
 *     node container/stage.ts [DIR]        default: container/rootfs
 *
 * The same inputs give the same tree, times included (SOURCE_DATE_EPOCH, or 1970). The image is for this machine's
 * architecture and C library, which has to be glibc; no other can be laid out from here.
 */
import {
  chmodSync,
  copyFileSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";

import { root } from "../.dev/workspace.ts";
import { copyrightFiles, sharedLibraries, strip } from "./system-files.ts";

const HOME = "opt/pvferry";
const ADDON = "dist/native/pvferry.node";

/** What runs, and under which terms. Source maps hold whole sources; types and documents serve nobody in there. */
const KEPT = /(?:\.[cm]?js|\.json|(?:^|\/)(?:licen[cs]e|notice|copying)[^/]*)$/i;

interface LockFile {
  readonly packages: { readonly [path: string]: { readonly dev?: boolean } };
}

const ACCOUNTS = {
  "etc/passwd": "root:x:0:0:root:/:/sbin/nologin\npvferry:x:65532:0:pvferry:/tmp:/sbin/nologin\n",
  "etc/group": "root:x:0:\n",
  // Without it glibc asks DNS before /etc/hosts, where pods have their host aliases.
  "etc/nsswitch.conf": "hosts: files dns\n",
};

/** Mount points that a runtime cannot make on a read-only root; /tmp is there for whoever mounts nothing on it. */
const FOLDERS = ["dev", "proc", "sys", "run", "tmp"];

/** Some packages come with programs' modes on their texts. */
function place(from: string, to: string, mode = 0o644): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, mode);
}

function placeTree(from: string, to: string): void {
  const names = readdirSync(from, { recursive: true, encoding: "utf8" });
  for (const name of names.filter((path) => KEPT.test(path) && isOwn(path))) {
    if (statSync(join(from, name)).isFile()) place(join(from, name), join(to, name));
  }
}

/** A package inside a package stands in the lock file itself, and may be one that only development needs. */
function isOwn(path: string): boolean {
  return !path.split("/").includes("node_modules");
}

/** Folders of what package.json's dependencies need, by the lock file. */
function runtimePackages(): readonly string[] {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as LockFile;
  const paths = Object.entries(lock.packages).filter(([, entry]) => entry.dev !== true);
  return paths.map(([path]) => path).filter((path) => path !== "");
}

function layOut(rootfs: string): void {
  const home = join(rootfs, HOME);
  placeTree(join(root, "dist"), join(home, "dist"));
  for (const path of runtimePackages()) placeTree(join(root, path), join(home, path));
  for (const name of ["package.json", "LICENSE"]) place(join(root, name), join(home, name));
  placeBinaries(rootfs, home);
  for (const name of FOLDERS) mkdirSync(join(rootfs, name), { recursive: true });
  mkdirSync(join(rootfs, "etc"), { recursive: true });
  for (const [name, text] of Object.entries(ACCOUNTS)) writeFileSync(join(rootfs, name), text);
}

function placeBinaries(rootfs: string, home: string): void {
  const binaries = [
    [process.execPath, join(rootfs, "usr/bin/node")],
    [join(root, ADDON), join(home, ADDON)],
  ] as const;
  const libraries = new Set<string>();
  for (const [from, to] of binaries) {
    mkdirSync(dirname(to), { recursive: true });
    strip(from, to);
    for (const library of sharedLibraries(from)) libraries.add(library);
  }
  for (const library of libraries) {
    place(library, join(rootfs, library), 0o755);
  }
  for (const file of copyrightFiles([...libraries])) place(file, join(rootfs, file));
}

/** Whoever stages, with whatever umask and whenever: readable by every UID, and the same. Children before parents. */
function settle(path: string, seconds: number): void {
  const { mode } = statSync(path);
  const isFolder = statSync(path).isDirectory();
  for (const name of isFolder ? readdirSync(path) : []) settle(join(path, name), seconds);
  chmodSync(path, isFolder || (mode & 0o100) !== 0 ? 0o755 : 0o644);
  lutimesSync(path, seconds, seconds);
}

function stage(rootfs: string): void {
  rmSync(rootfs, { recursive: true, force: true });
  mkdirSync(rootfs, { recursive: true });
  layOut(rootfs);
  const seconds = Number(process.env["SOURCE_DATE_EPOCH"] ?? 0);
  settle(rootfs, seconds);
  chmodSync(join(rootfs, "tmp"), 0o1777);
  process.stderr.write(`stage: ${rootfs} is ready for podman build, buildah bud or docker build\n`);
}

stage(resolve(process.argv[2] ?? join(root, "container/rootfs")));
