/** Files by size and by the shape of their holes. */
import { directory, file, sparseFile, type Entry } from "../entry.ts";
import type { RandomBytes } from "../random-bytes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const TIB = 1024 * 1024 * MIB;

/** Around the edges of blocks, pages, pipe buffers, packs and pieces. */
const SIZES = [
  0,
  1,
  2,
  63,
  64,
  65,
  511,
  512,
  1023,
  1024,
  1025,
  4095,
  4096,
  4097,
  16_383,
  16_384,
  16_385,
  65_535,
  65_536,
  65_537,
  262_143,
  262_144,
  262_145,
  524_287,
  524_288,
  524_289,
  MIB - 1,
  MIB,
  MIB + 1,
  3 * MIB + 17,
  8 * MIB,
  9 * MIB + 4097,
];

export function sizes(random: RandomBytes): Entry[] {
  return [
    directory("sizes"),
    ...SIZES.map((size) => file(`sizes/${String(size).padStart(8, "0")}`, random.bytes(size))),
    file("sizes/zeros", Buffer.alloc(100_000)),
    file("sizes/repeating", Buffer.alloc(300_000, "the same words again and again\n")),
    directory("sizes/empty-directory"),
  ];
}

export function sparse(random: RandomBytes): Entry[] {
  const at = (offset: number, length: number) => ({ offset, data: random.bytes(length) });
  const comb = Array.from({ length: 64 }, (_, index) => at(index * 64 * KIB, 4 * KIB));
  return [
    directory("sparse"),
    sparseFile("sparse/only-a-hole", 10 * MIB, []),
    sparseFile("sparse/only-a-hole-odd", 10 * MIB + 1, []),
    sparseFile("sparse/hole-at-start", 2 * MIB, [at(MIB, MIB)]),
    sparseFile("sparse/hole-at-end", 2 * MIB, [at(0, MIB)]),
    sparseFile("sparse/hole-at-end-odd", 2 * MIB + 123, [at(0, 4 * KIB)]),
    sparseFile("sparse/hole-between", 3 * MIB, [at(0, MIB), at(2 * MIB, MIB)]),
    sparseFile("sparse/odd-alignments", 5 * MIB + 77, [
      at(12_345, 1),
      at(MIB + 4095, 2),
      at(3 * MIB + 4097, 8191),
    ]),
    sparseFile("sparse/last-byte-only", 7 * MIB, [at(7 * MIB - 1, 1)]),
    sparseFile("sparse/comb", 64 * 64 * KIB + 5, comb),
    sparseFile("sparse/zeros-that-are-data", 2 * MIB, [
      { offset: 512 * KIB, data: Buffer.alloc(64 * KIB) },
    ]),
    sparseFile("sparse/one-tebibyte", TIB, [
      at(0, 256 * KIB),
      at(300 * 1024 * MIB, 256 * KIB),
      at(TIB - 1024 * MIB, 256 * KIB),
      at(TIB - 256 * KIB, 256 * KIB),
    ]),
  ];
}
