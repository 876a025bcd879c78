/** What test/e2e/random-moments.test.ts does five times, forty times and with larger files. */
import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { INTERRUPTIONS_NEED, surviveInterruption } from "../proof/interrupted-copy.ts";
import { writeInterruptedVolume } from "../proof/interrupted-volume.ts";
import { describeInterruption, drawInterruption, HAPPENINGS } from "../proof/interruption.ts";
import { testSeed } from "../proof/seed.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const MIB = 1024 * 1024;
const SEED = testSeed();
const MOMENTS = 40;
const STOPPED_MS = 30_000;
const random = randomBytes(SEED);
const DRAWN = Array.from({ length: MOMENTS }, (_, index) => {
  const happening = HAPPENINGS[index % HAPPENINGS.length] ?? "both killed";
  return drawInterruption(random, happening, { stoppedMs: STOPPED_MS, alsoLate: true });
});

describeWith(INTERRUPTIONS_NEED, `a copy (seed ${SEED})`, () => {
  const shared = scratch();
  const volume = {
    source: shared.directory("source"),
    pki: shared.at("pki"),
    bytesPerSecond: 60 * MIB,
  };
  let bytes = 0;

  beforeAll(async () => {
    await initPki(volume.pki);
    bytes = await writeInterruptedVolume(volume.source, {
      smallFiles: 4000,
      // Larger than what may cross again, so that nothing but going on inside of a file keeps to that.
      largeFiles: 4,
      largeBytes: 160 * MIB,
    });
  });

  afterAll(() => shared[Symbol.dispose]());

  it.each(DRAWN.map((drawn, index) => [index, describeInterruption(drawn), drawn] as const))(
    "ends well: %i, %s",
    async (_, words, drawn) => {
      expect.hasAssertions();
      const { again, finished, tooLate } = await surviveInterruption({ ...volume, bytes }, drawn);
      const late = tooLate ? ", too late to interrupt anything" : "";
      console.log(`${words}: ${(again / MIB).toFixed(1)} MiB again, ${finished} finished${late}`);
    },
  );
});
