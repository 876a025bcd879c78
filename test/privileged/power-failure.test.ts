/** A target that loses its power keeps what it has promised. test/soak/power-failure.test.ts is the long form. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { POWER_NEEDS, survivePowerFailures } from "../proof/power-failure.ts";
import { testSeed } from "../proof/seed.ts";

const SEED = testSeed();

describeWith(POWER_NEEDS, "a target on ext4 whose power fails", () => {
  it.each([
    ["first", "none", 2],
    ["second", "lost", 1],
    ["in place", "lost", 2],
  ] as const)(
    `keeps its promises, copy: %s, cache: %s (seed ${SEED})`,
    async (pass, cache, cuts) => {
      expect.hasAssertions();
      await survivePowerFailures({ kind: "ext4", cache, pass, seed: SEED, cuts });
    },
  );
});
