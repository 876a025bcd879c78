/** Volumes by name, each the same on every run. */
import { mkdirSync } from "node:fs";

import { makeEntries } from "./apply.ts";
import { writeLargeSet, writeSmallSet } from "./bench-sets.ts";
import { writeDemo } from "./demo.ts";
import { everyKind, lostAndFound } from "./every-kind.ts";
import { limitsOf, type FilesystemLimits } from "./limits.ts";

export const PROFILES = {
  "every-kind": "every kind of entry a copy has to keep, 40 MB; needs root",
  demo: "some 2 GB as an application might leave them; as much of every kind as the user may make",
  big: "4 files of 1 GB of random bytes",
  small: "50,000 files in 500 directories, 460 MB, median 4 KB",
} as const;

export type Profile = keyof typeof PROFILES;

/** Fills a directory (made if missing). Returns what could not be made, one line each; only "demo" leaves things out. */
export async function makeVolume(
  directory: string,
  profile: Profile,
  limits?: FilesystemLimits,
): Promise<string> {
  mkdirSync(directory, { recursive: true });
  const held = limits ?? limitsOf(directory);
  switch (profile) {
    case "every-kind":
      return makeEntries(directory, [...everyKind(held), ...lostAndFound()]);
    case "demo":
      return makeEntries(directory, writeDemo(directory, held), true);
    case "big":
      writeLargeSet(directory);
      return "";
    case "small":
      writeSmallSet(directory);
      return "";
  }
}
