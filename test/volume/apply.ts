/** Turns entries into operations and has apply-entries.pl carry them out. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import type { Content, Entry } from "./entry.ts";

const SCRIPT = fileURLToPath(new URL("apply-entries.pl", import.meta.url));
const NANOSECONDS = 1_000_000_000n;
const BYTES_AT_ONCE = 1 << 20;

/** An operation's name, a path, and its arguments; see apply-entries.pl for what there is. */
export type Operation = readonly [operation: string, path: string, ...rest: (string | Buffer)[]];

function asBytes(field: string | Buffer): Buffer {
  return typeof field === "string" ? Buffer.from(field, "latin1") : field;
}

function frame(operation: Operation): Buffer {
  const count = Buffer.alloc(4);
  count.writeUInt32LE(operation.length);
  const parts: Buffer[] = [count];
  for (const field of operation) {
    const bytes = asBytes(field);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(bytes.length);
    parts.push(head, bytes);
  }
  return Buffer.concat(parts);
}

function creation(path: string, content: Content): Operation[] {
  switch (content.type) {
    case "directory":
      return [["mkdir", path]];
    case "file":
      return [
        [
          "file",
          path,
          String(content.size),
          ...content.extents.flatMap((e) => [String(e.offset), e.data]),
        ],
      ];
    case "symlink":
      return [["symlink", path, content.target]];
    case "fifo":
    case "socket":
      return [["node", path, content.type]];
    case "device":
      return [["node", path, content.device, String(content.major), String(content.minor)]];
    case "link":
      return [["link", path, content.to]];
    case "written":
      return [];
  }
}

/** In the order that loses nothing: chown clears setuid and capabilities, an ACL changes the mode, times come last. */
function metadata(entry: Entry): Operation[] {
  if (entry.content.type === "link") return [];
  const { path, mode, uid, gid, mtime } = entry;
  const whole = mtime / NANOSECONDS - (mtime < 0n && mtime % NANOSECONDS !== 0n ? 1n : 0n);
  const chmod: Operation[] =
    entry.content.type === "symlink" ? [] : [["chmod", path, String(mode)]];
  return [
    ["chown", path, String(uid), String(gid)],
    ...chmod,
    ...entry.xattrs.map((xattr): Operation => ["setxattr", path, xattr.name, xattr.value]),
    ["mtime", path, String(whole), String(mtime - whole * NANOSECONDS)],
  ];
}

function* operationsFor(entries: readonly Entry[]): Generator<Operation> {
  for (const each of entries) yield* creation(each.path, each.content);
  const isDirectory = (each: Entry): boolean => each.content.type === "directory";
  for (const each of entries) if (!isDirectory(each)) yield* metadata(each);
  for (const each of entries.toReversed()) if (isDirectory(each)) yield* metadata(each);
}

/** Carries out operations beneath root; throws with the script's own words when one fails, unless lenient. */
async function applyOperations(
  root: string,
  operations: Iterable<Operation>,
  lenient = false,
): Promise<string> {
  const child = spawn("perl", [SCRIPT, root, ...(lenient ? ["lenient"] : [])], {
    stdio: ["pipe", "ignore", "pipe"],
  });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (words += text));
  // When the script ends early, its exit status and words say why, not the broken pipe.
  child.stdin.on("error", () => undefined);
  const closed = once(child, "close");
  let waiting: Buffer[] = [];
  let size = 0;
  for (const operation of operations) {
    const bytes = frame(operation);
    waiting.push(bytes);
    size += bytes.length;
    if (size < BYTES_AT_ONCE) continue;
    if (!child.stdin.write(Buffer.concat(waiting))) {
      await Promise.race([once(child.stdin, "drain").catch(() => closed), closed]);
    }
    waiting = [];
    size = 0;
  }
  child.stdin.end(Buffer.concat(waiting));
  await closed;
  if (child.exitCode !== 0) throw new Error(`cannot make the volume at ${root}: ${words.trim()}`);
  return words;
}

/** Makes entries beneath root. Parents stand before their children; directory times are set last. */
export async function makeEntries(
  root: string,
  entries: readonly Entry[],
  lenient = false,
): Promise<string> {
  return applyOperations(root, operationsFor(entries), lenient);
}
