/** What test/privileged/power-failure.test.ts does on ext4, thirty times on each of three file systems. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { POWER_NEEDS, survivePowerFailures } from "../proof/power-failure.ts";
import { testSeed } from "../proof/seed.ts";

const SEED = testSeed();
const KINDS = ["ext4", "xfs", "btrfs"] as const;
const CACHES = ["none", "lost"] as const;
const PASSES = ["first", "second", "in place"] as const;
const ALL = KINDS.flatMap((kind) =>
  CACHES.flatMap((cache) => PASSES.map((pass) => [pass, kind, cache] as const)),
);

describeWith(POWER_NEEDS, "a target whose power fails", () => {
  it.each(ALL)(
    `keeps its promises, copy: %s, on %s, cache: %s (seed ${SEED})`,
    async (pass, kind, cache) => {
      expect.hasAssertions();
      await survivePowerFailures({ kind, cache, pass, seed: SEED, cuts: 5 });
    },
  );
});
