/** The two sets of files that the benchmark copies. */
import { bulkWriter } from "./bulk.ts";
import { randomBytes } from "./random-bytes.ts";

const LARGE = { files: 4, bytes: 1_000_000_000 };
/** The scale of 1.272 makes the mean 9.2 KB for a median of 4 KB, so that 50,000 files hold 460 MB. */
const SMALL = {
  files: 50_000,
  directories: 500,
  median: 4096,
  sigma: 1.272,
  total: 460_000_000,
  largest: 4_000_000,
};

export function writeLargeSet(root: string): void {
  const bulk = bulkWriter(root);
  for (let index = 0; index < LARGE.files; index++) {
    bulk.file(`large-${index}`, LARGE.bytes, randomBytes(`large ${index}`).bytes);
  }
}

/** Sizes as drawn, then nudged file by file until they add up to the total exactly. */
function smallSizes(): number[] {
  const random = randomBytes("small sizes");
  const drawn = Array.from({ length: SMALL.files }, () =>
    Math.min(SMALL.largest, Math.round(random.logNormal(SMALL.median, SMALL.sigma))),
  );
  const factor = SMALL.total / drawn.reduce((sum, size) => sum + size, 0);
  const scaled = drawn.map((size) => Math.floor(size * factor));
  const missing = SMALL.total - scaled.reduce((sum, size) => sum + size, 0);
  return scaled.map((size, index) => (index < missing ? size + 1 : size));
}

export function writeSmallSet(root: string): void {
  const random = randomBytes("small");
  const bulk = bulkWriter(root);
  smallSizes().forEach((size, index) => {
    const folder = String(index % SMALL.directories).padStart(3, "0");
    bulk.file(`directory-${folder}/file-${String(index).padStart(5, "0")}`, size, random.bytes);
  });
}
