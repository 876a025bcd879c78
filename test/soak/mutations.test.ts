/** What test/e2e/mutations.test.ts does in ten rounds, in two hundred. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { mutationRounds, ROUNDS_NEED } from "../proof/mutation-rounds.ts";
import { testSeed } from "../proof/seed.ts";

const SEED = testSeed();
/** A transfer of its own each. */
const ROUNDS_OF_ONE = 20;
const TRANSFERS = Array.from({ length: 10 }, (_, index) => `${SEED}-${index}`);

describeWith(ROUNDS_NEED, "200 rounds of random changes", () => {
  it.each(TRANSFERS)("by whoever runs the tests, seed %s", async (seed) => {
    expect.hasAssertions();
    await mutationRounds({ seed, rounds: ROUNDS_OF_ONE });
  });
});

describeWith({ ...ROUNDS_NEED, root: true }, "200 rounds of random changes", () => {
  it.each(TRANSFERS)("by a plain user, seed %s", async (seed) => {
    expect.hasAssertions();
    const as = { id: 12_345, groups: [23_456, 34_567] };
    await mutationRounds({ seed, rounds: ROUNDS_OF_ONE, as });
  });
});
