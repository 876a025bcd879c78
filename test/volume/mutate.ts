/** Random changes to a tree of files, such as applications make between two passes; the same for the same seed. */
import { mkdirSync, rmSync } from "node:fs";
import process from "node:process";

import { ATTRIBUTE_CHANGES } from "./changes/attributes.ts";
import { statOf, type Change } from "./changes/change.ts";
import { CONTENT_CHANGES } from "./changes/contents.ts";
import { NAME_CHANGES } from "./changes/names.ts";
import { randomBytes } from "./random-bytes.ts";

const DIRECTORIES = ["", "a", "a/b", "c"];
const NAMES_IN_EACH = 12;
const CHANGES_AT_ONCE = 30;
const ALL: readonly (readonly [string, Change])[] = Object.entries({
  ...CONTENT_CHANGES,
  ...NAME_CHANGES,
  ...ATTRIBUTE_CHANGES,
});

export interface Mutation {
  readonly seed: string;
  /** See Place. */
  readonly youngFrom: number;
  readonly groups?: readonly number[];
}

function furnish(root: string): void {
  for (const directory of DIRECTORIES.slice(1)) {
    const path = `${root}/${directory}`;
    if (statOf(path)?.isDirectory() === true) continue;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
  }
}

/** Applies 30 changes to the tree at `root`. Some find nothing that they could change, and do nothing. */
export function mutate(root: string, { seed, youngFrom, groups = [] }: Mutation): void {
  const random = randomBytes(seed);
  furnish(root);
  const path = (): string => {
    const there = DIRECTORIES.filter((name) => statOf(`${root}/${name}`)?.isDirectory() === true);
    const directory = there[random.below(there.length)] ?? "";
    return `${root}/${directory}${directory === "" ? "" : "/"}f${random.below(NAMES_IN_EACH)}`;
  };
  const privileged = process.getuid?.() === 0;
  const place = { root, random, privileged, groups, youngFrom, path };
  for (let number = 0; number < CHANGES_AT_ONCE; number += 1) {
    const [name, change] = ALL[random.below(ALL.length)] ?? [];
    try {
      change?.(place);
    } catch (cause) {
      throw new Error(`change ${number} of seed ${seed} (${name}) cannot be made`, { cause });
    }
  }
}
