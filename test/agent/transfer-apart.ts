/** A volume, one transfer's certificates and two clusters for all tests of a suite, and what these do with them. */
import { afterAll, beforeAll, expect } from "vitest";

import { passing } from "../bed/network/fault.ts";
import {
  TO_TARGET,
  twoClusters,
  type ClustersOptions,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import type { Scratch } from "../bed/scratch.ts";
import { sourceApart, targetApart } from "./agents-apart.ts";
import { expectArrival } from "./arrival.ts";
import type { Agent, Ended } from "./run-pvferry.ts";
import { sharedVolume } from "./shared-volume.ts";

const MIB = 1024 * 1024;
const SIZES = { largeFiles: 4, largeBytes: 6 * MIB, smallFiles: 300 };
/** Some third of the volume. */
const CROSSED_BYTES = 8 * MIB;

export interface TransferApart {
  readonly clusters: () => TwoClusters;
  readonly volume: string;
  readonly pki: string;
  /** Listens, and copies to the scratch folder's "target". */
  readonly startTarget: (place: Scratch) => Promise<Agent>;
  readonly startSource: (to: string, ...flags: readonly string[]) => Agent;
  /** Until a part of the copy has crossed. */
  readonly crossed: () => Promise<void>;
  readonly expectCopy: (
    place: Scratch,
    source: Agent,
    target: Agent,
  ) => Promise<readonly [Ended, Ended]>;
}

/** To be called in a suite, outside of any test. */
export function transferApart(options: ClustersOptions = {}): TransferApart {
  const { volume, pki } = sharedVolume(SIZES);
  let up: TwoClusters | undefined;

  beforeAll(() => {
    up = twoClusters(options);
  });

  afterAll(() => up?.[Symbol.dispose]());

  const clusters = (): TwoClusters => {
    if (up === undefined) throw new Error("the clusters are not up");
    return up;
  };
  return {
    clusters,
    volume,
    pki,
    startTarget: async (place) => {
      const copy = place.directory("target");
      const agent = targetApart({ cluster: clusters().target, volume: copy, pki });
      await agent.says(/^Listening on /m);
      return agent;
    },
    startSource: (to, ...flags) =>
      sourceApart({ cluster: clusters().source, volume, pki, flags: ["--to", to, ...flags] }),
    crossed: async () => {
      using seen = passing({ router: clusters().router, link: TO_TARGET });
      await expect.poll(seen.bytes, { timeout: 60_000 }).toBeGreaterThan(CROSSED_BYTES);
    },
    expectCopy: async (place, source, target) =>
      expectArrival({ volume, copy: place.at("target"), source, target }),
  };
}
