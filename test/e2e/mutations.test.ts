/** Passes keep up with whatever is done to the source in between. test/soak/mutations.test.ts is the long form. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { mutationRounds, ROUNDS_NEED } from "../proof/mutation-rounds.ts";
import { testSeed } from "../proof/seed.ts";

const SEED = testSeed();
/** Twenty short commands and ten judges, also on a busy machine. */
const PATIENCE_MS = 300_000;

describeWith(ROUNDS_NEED, "ten rounds of random changes", () => {
  it(
    `are all copied (seed ${SEED})`,
    async () => {
      expect.hasAssertions();
      await mutationRounds({ seed: SEED, rounds: 10 });
    },
    PATIENCE_MS,
  );
});

describeWith({ ...ROUNDS_NEED, root: true }, "ten rounds of random changes by a plain user", () => {
  it(
    `are all copied (seed ${SEED})`,
    async () => {
      expect.hasAssertions();
      await mutationRounds({ seed: SEED, rounds: 10, as: { id: 12_345, groups: [23_456] } });
    },
    PATIENCE_MS,
  );
});
