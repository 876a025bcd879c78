/** Some 2 GB as an application might leave them: databases, uploads, sources, logs, media, backups, a disk image. */
import process from "node:process";

import { bulkWriter, type Bytes, type BulkWriter } from "./bulk.ts";
import { directory, link, symlink, type Entry } from "./entry.ts";
import { beneath, everyKind } from "./every-kind.ts";
import type { FilesystemLimits } from "./limits.ts";
import { randomBytes, type RandomBytes } from "./random-bytes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const PAGE = 8 * KIB;
/** Beside its holes, 2 GB of data would be nothing in a progress bar. */
const TEBIBYTE = "sparse/one-tebibyte";

/** Database pages: a header, rows that compress a little, and free space. */
function pages(random: RandomBytes): Bytes {
  return (length) => {
    const bytes = random.bytes(length);
    for (let page = 0; page + PAGE <= length; page += PAGE) {
      bytes.fill("customer\0order\0item\0", page + 24, page + 2 * KIB);
      bytes.fill(0, page + 6 * KIB, page + PAGE);
    }
    return bytes;
  };
}

/** Lines that differ only in their numbers. */
function logLines(random: RandomBytes): Bytes {
  return (length) => {
    const lines: string[] = [];
    for (let size = 0; size < length; size += 90) {
      const request = String(random.below(1e9)).padStart(9, "0");
      lines.push(
        `2024-02-29T12:34:56.789Z INFO  gateway request=${request} status=200 took=${request.slice(-3)}ms ok`,
      );
    }
    return Buffer.from(`${lines.join("\n")}\n`).subarray(0, length);
  };
}

function sourceText(random: RandomBytes): Bytes {
  const words = Buffer.from(
    "export function handle(request, response) { return response.end(request.url); }\n".repeat(
      2000,
    ),
  );
  return (length) => {
    const from = random.below(80);
    return length + from <= words.length
      ? words.subarray(from, from + length)
      : Buffer.alloc(length, words);
  };
}

function databases(bulk: BulkWriter, random: RandomBytes): void {
  for (let table = 0; table < 60; table++) {
    const size = PAGE * Math.min(8192, Math.ceil(random.logNormal(120, 1.7)));
    bulk.file(`databases/postgres/base/16384/${24_576 + table}`, size, pages(random), {
      mode: 0o600,
      uid: 26,
      gid: 26,
    });
  }
  for (let segment = 0; segment < 8; segment++) {
    const name = segment.toString(16).padStart(24, "0").toUpperCase();
    bulk.file(`databases/postgres/pg_wal/${name}`, 16 * MIB, random.bytes, {
      mode: 0o600,
      uid: 26,
      gid: 26,
    });
  }
  bulk.file("databases/sqlite/app.db", 96 * MIB, pages(random), { mode: 0o640 });
}

function smallFiles(bulk: BulkWriter, random: RandomBytes): void {
  for (let index = 0; index < 14_000; index++) {
    const path = `app/modules/package-${String(index % 350).padStart(3, "0")}/lib/part-${Math.floor(index / 350)}.js`;
    bulk.file(
      path,
      Math.min(64 * KIB, Math.floor(random.logNormal(1500, 1.2))),
      sourceText(random),
    );
  }
  for (let index = 0; index < 3000; index++) {
    const folder = `uploads/${2019 + (index % 6)}/${String((index % 12) + 1).padStart(2, "0")}`;
    bulk.file(
      `${folder}/${index.toString(36)}.jpg`,
      Math.floor(random.logNormal(110 * KIB, 0.8)),
      random.bytes,
    );
  }
}

function largeFiles(bulk: BulkWriter, random: RandomBytes): void {
  for (let day = 1; day <= 14; day++) {
    bulk.file(
      `logs/gateway-${String(day).padStart(2, "0")}.log`,
      12 * MIB + day,
      logLines(random),
      { uid: 0, gid: 4 },
    );
  }
  for (let film = 0; film < 4; film++) {
    bulk.file(`media/lecture-${film}.mp4`, 190 * MIB + film, random.bytes);
  }
  const scattered = Array.from({ length: 800 }, (_, index) => index * 5 * MIB);
  bulk.sparse("machines/disk.img", 4 * 1024 * MIB, scattered, random.bytes);
}

/** A backup in the manner of cp -al: another tree of names for the same files. */
function backup(written: readonly Entry[]): Entry[] {
  const sources = written.filter((each) => each.path.startsWith("app/modules/package-00"));
  const moved = (path: string): string => path.replace("app/", "backup/yesterday/");
  return [
    directory("backup"),
    directory("backup/yesterday"),
    directory("backup/yesterday/modules"),
    ...sources.map((each) =>
      each.content.type === "directory"
        ? directory(moved(each.path))
        : link(moved(each.path), each.path),
    ),
    symlink("backup/latest", "yesterday"),
  ];
}

/** Closed to their own owner: root reads them all the same, anybody else would see the demonstration end with items. */
function withoutClosed(entries: readonly Entry[]): readonly Entry[] {
  const shut = ({ content, mode }: Entry): boolean =>
    content.type === "directory" ? (mode & 0o500) !== 0o500 : (mode & 0o400) === 0;
  const closed = entries.filter(shut).map((each) => `${each.path}/`);
  const open = (path: string): boolean => !closed.some((each) => `${path}/`.startsWith(each));
  return entries.filter(
    ({ path, content }) => open(path) && (content.type !== "link" || open(content.to)),
  );
}

/** Writes the bulk beneath root and returns all entries, whose metadata is still to be applied. */
export function writeDemo(root: string, limits: FilesystemLimits): Entry[] {
  const random = randomBytes("demo");
  const bulk = bulkWriter(root);
  databases(bulk, random);
  smallFiles(bulk, random);
  largeFiles(bulk, random);
  const written = bulk.entries();
  const kinds = everyKind(limits).filter((each) => each.path !== TEBIBYTE);
  return [
    directory("", { mode: 0o755 }),
    ...written,
    ...backup(written),
    ...beneath("every-kind", process.getuid?.() === 0 ? kinds : withoutClosed(kinds)),
  ];
}
