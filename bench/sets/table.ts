/** The sets by name. (a) and (b) are first copies, the others second ones. */
import { makeVolume } from "../../test/volume/make-volume.ts";
import { blocksOverwritten, bytesAppended, writeOneFile } from "./one-file.ts";
import type { BenchSet } from "./set.ts";
import { NOTHING_CHANGED, onePercentChanged, TINY_BELOW, writeTinyFiles } from "./tiny-files.ts";

const [GB, MB] = [1_000_000_000, 1_000_000];

/** As --delete of rsync, which DVM sets: what is there is compared, and what is extra goes. */
const SECOND_COPY = ["--existing", "mirror"] as const;
const FEW_INODES = 1_000;

const FIRST_COPIES = {
  a: {
    what: "4 files of 1 GB of random bytes",
    bytes: 4 * GB,
    written: 4 * GB,
    files: 4,
    room: 9 * GB,
    inodes: FEW_INODES,
    write: async (source: string): Promise<void> => {
      await makeVolume(source, "big");
    },
    flags: [],
  },
  b: {
    what: "50,000 files in 500 directories, 460 MB",
    bytes: 460 * MB,
    written: 460 * MB,
    files: 50_000,
    room: 2 * GB,
    inodes: 200_000,
    write: async (source: string): Promise<void> => {
      await makeVolume(source, "small");
    },
    flags: [],
  },
} as const satisfies { readonly [name: string]: BenchSet };

function tinyFiles(files: number): Omit<BenchSet, "what" | "written"> {
  return {
    files,
    bytes: (files * TINY_BELOW) / 2,
    room: files * 20_000,
    inodes: 3 * files,
    write: (source) => writeTinyFiles(source, files),
    flags: SECOND_COPY,
  };
}

function oneFile(bytes: number): Omit<BenchSet, "what"> {
  return {
    files: 1,
    bytes,
    written: bytes,
    room: 3.4 * bytes,
    inodes: FEW_INODES,
    write: (source) => writeOneFile(source, bytes),
    flags: SECOND_COPY,
  };
}

function secondCopies(scale: number) {
  const files = Math.round((scale * 300_000) / 100) * 100;
  const [image, more, interrupted] = [4 * GB, 100 * MB, 2 * GB].map((size) => scale * size) as [
    number,
    number,
    number,
  ];
  const [many, gb] = [files.toLocaleString("en"), (bytes: number): string => `${bytes / GB} GB`];
  const tiny = `${many} files of under ${TINY_BELOW} bytes in ${(files / 100).toLocaleString("en")} directories`;
  return {
    c: {
      ...tinyFiles(files),
      what: `${tiny}, nothing changed`,
      written: 0,
      earlier: NOTHING_CHANGED,
    },
    d: {
      ...tinyFiles(files),
      what: `${tiny}, 1 % written anew`,
      written: 0,
      earlier: onePercentChanged(files),
    },
    e: {
      ...oneFile(image),
      what: `a file of ${gb(image)}, 1 % of its blocks of 4 KiB overwritten at random`,
      earlier: blocksOverwritten(image),
    },
    f: {
      ...oneFile(image),
      what: `a file of ${gb(image)}, ${more / MB} MB appended`,
      bytes: image + more,
      written: image + more,
      earlier: bytesAppended(image, more),
    },
    g: {
      ...oneFile(interrupted),
      what: `a file of ${gb(interrupted)}, killed when half of it was there, and resumed`,
      interruptedAt: interrupted / 2,
      flags: [],
    },
  } satisfies { readonly [name: string]: BenchSet };
}

export type SetName = keyof typeof FIRST_COPIES | keyof ReturnType<typeof secondCopies>;

/** All sets, those of second copies at this share of their size. */
export function setsAtScale(scale: number): { readonly [Name in SetName]: BenchSet } {
  return { ...FIRST_COPIES, ...secondCopies(scale) };
}

export function setNamed(
  sets: { readonly [name: string]: BenchSet },
  name: string,
): BenchSet & { readonly name: string } {
  const set = sets[name];
  if (set !== undefined) return { name, ...set };
  throw new Error(`There is no set ${name}; there are ${Object.keys(sets).join(", ")}.`);
}
