/** What all tests of a file copy, and one transfer's certificates: made before the first of them, gone after the last. */
import { afterAll, beforeAll } from "vitest";

import { scratch } from "../bed/scratch.ts";
import { writePlainTree, type PlainSizes } from "../volume/plain.ts";
import { initPki } from "./agent-pair.ts";

export interface SharedVolume {
  readonly volume: string;
  readonly pki: string;
}

/** To be called outside of any test. */
export function sharedVolume(sizes: PlainSizes): SharedVolume {
  const shared = scratch();
  const volume = shared.directory("source");
  const pki = shared.at("pki");

  beforeAll(async () => {
    await writePlainTree(volume, sizes);
    await initPki(pki);
  });

  afterAll(() => shared[Symbol.dispose]());

  return { volume, pki };
}
