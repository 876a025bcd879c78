/** Changes to what is in files: sizes on both sides of what travels in packs and in pieces, and of a block. */
import { execFileSync } from "node:child_process";
import { rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";

import { BLOCK, fileAt, KIB, overwrite, type Change, type Place } from "./change.ts";

const SIZES = [0, 10, 5 * KIB, 200 * KIB, 700 * KIB, 1_300 * KIB];
const LARGE = 6 * 1024 * KIB;
const STAMP_BYTES = 16;

function data({ random }: Place): Buffer {
  return random.bytes((SIZES[random.below(SIZES.length)] ?? 0) + random.below(5));
}

/** A few bytes somewhere within. */
function stamp({ random }: Place, size: number): [number, Buffer] {
  return [random.below(size - STAMP_BYTES + 1), random.bytes(STAMP_BYTES)];
}

export const CONTENT_CHANGES: { readonly [name: string]: Change } = {
  "new file": (place) => {
    const path = place.path();
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, data(place));
  },
  "new large file": (place) => {
    const path = place.path();
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, place.random.bytes(LARGE + place.random.below(3 * BLOCK)));
  },
  "truncated or grown": ({ path, random }) => {
    const target = path();
    const stat = fileAt(target);
    if (stat !== null) truncateSync(target, random.below(Math.max(900 * KIB, 2 * stat.size)));
  },
  appended: (place) => {
    const target = place.path();
    if (fileAt(target) !== null) writeFileSync(target, data(place), { flag: "a" });
  },
  "bytes overwritten": (place) => {
    const target = place.path();
    const stat = fileAt(target, STAMP_BYTES);
    if (stat !== null) overwrite(target, [stamp(place, stat.size)]);
  },
  "blocks overwritten": ({ path, random }) => {
    const target = path();
    const stat = fileAt(target, 2 * BLOCK);
    if (stat === null) return;
    const blocks = Array.from({ length: 1 + random.below(20) }, (): [number, Buffer] => {
      return [BLOCK * random.below(Math.floor(stat.size / BLOCK)), random.bytes(BLOCK)];
    });
    overwrite(target, blocks);
  },
  // Only the bytes tell. What is as young as the transfer is not trusted by its time.
  "same size and time": (place) => {
    const target = place.path();
    const stat = fileAt(target, STAMP_BYTES);
    if (stat === null || stat.mtimeMs < place.youngFrom) return;
    overwrite(target, [stamp(place, stat.size)]);
    utimesSync(target, stat.atime, stat.mtime);
  },
  // Within 2 s of what it was, which on the coarsest file systems is the same time.
  "same size, time within 2 s": (place) => {
    const target = place.path();
    const stat = fileAt(target, STAMP_BYTES);
    if (stat === null) return;
    overwrite(target, [stamp(place, stat.size)]);
    utimesSync(target, stat.atime, stat.mtimeMs / 1000 + 0.001 + place.random.number() * 1.9);
  },
  "moved along by a few bytes": (place) => {
    const target = place.path();
    if (fileAt(target, BLOCK) === null) return;
    const script = 'head -c "$2" /dev/urandom | cat - "$1" > "$1~" && cat "$1~" > "$1" && rm "$1~"';
    execFileSync("sh", ["-c", script, "sh", target, `${1 + place.random.below(5000)}`]);
  },
  "new sparse file": ({ path, random }) => {
    const target = path();
    rmSync(target, { recursive: true, force: true });
    writeFileSync(target, "");
    truncateSync(target, 64 * KIB * (2 + random.below(60)));
    overwrite(target, [[64 * KIB * random.below(2), random.bytes(1 + random.below(9_000))]]);
  },
  "sparse made dense": ({ path, random }) => {
    const target = path();
    const stat = fileAt(target, BLOCK);
    if (stat === null || 512 * stat.blocks >= stat.size) return;
    const at = random.below(2) === 0 ? 0 : BLOCK * random.below(Math.floor(stat.size / BLOCK));
    overwrite(target, [[at, Buffer.alloc(stat.size - at)]]);
  },
  "zeros made holes": ({ path }) => {
    const target = path();
    if (fileAt(target) !== null) execFileSync("fallocate", ["-d", target]);
  },
  "a hole punched": ({ path, random }) => {
    const target = path();
    const stat = fileAt(target, 20 * BLOCK);
    if (stat === null) return;
    const at = BLOCK * random.below(Math.floor(stat.size / BLOCK));
    const length = BLOCK * (1 + random.below(200));
    execFileSync("fallocate", ["-p", "-o", `${at}`, "-l", `${length}`, target]);
  },
};
