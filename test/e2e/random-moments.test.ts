/**
 * Whatever happens to a copy at whatever moment, it ends well in the end: nothing that is finished is opened again, and no
 * more than 64 MiB cross again. test/soak/random-moments.test.ts is the long form.
 */
import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { INTERRUPTIONS_NEED, surviveInterruption } from "../proof/interrupted-copy.ts";
import { writeInterruptedVolume } from "../proof/interrupted-volume.ts";
import { describeInterruption, drawInterruption, type Happening } from "../proof/interruption.ts";
import { testSeed } from "../proof/seed.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;
const SEED = testSeed();
const SIZES = { smallFiles: 1000, largeFiles: 5, largeBytes: 20 * MIB };
const DRAWING = { stoppedMs: 2_000, alsoLate: false };

describeWith(INTERRUPTIONS_NEED, `a copy (seed ${SEED})`, () => {
  const shared = scratch();
  const agents = { source: shared.directory("source"), pki: shared.at("pki") };
  const random = randomBytes(SEED);
  const stopped = random.below(2) === 0 ? "source stopped" : "target stopped";
  const happenings: readonly Happening[] = [
    "source killed",
    "target killed",
    "both killed",
    "connections cut",
    stopped,
  ];
  const drawn = happenings.map((each) => drawInterruption(random, each, DRAWING));
  let bytes = 0;

  beforeAll(async () => {
    await initPki(agents.pki);
    bytes = await writeInterruptedVolume(agents.source, SIZES);
  });

  afterAll(() => shared[Symbol.dispose]());

  it.each(drawn.map((each) => [describeInterruption(each), each] as const))(
    "ends well: %s",
    async (_, interruption) => {
      expect.hasAssertions();
      await surviveInterruption({ ...agents, bytes, bytesPerSecond: 60 * MIB }, interruption);
    },
  );
});
