/** Long work on a volume ends soon after its flag is closed, with "interrupted", and leaves the rest as it is. */

import { writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { loadAddon } from "../../src/native/addon.ts";
import type { StopFlag } from "../../src/native/types.ts";
import { scratch } from "../bed/scratch.ts";

const addon = loadAddon();
const place = scratch();
const many = place.directory("many");
const FILES = 20_000;
const LARGE_BYTES = 384 * 1024 * 1024;
/** Far less than the work takes, far more than stopping does. */
const SOON_MS = 700;

beforeAll(() => {
  for (let file = 0; file < FILES; file += 1) writeFileSync(`${many}/${file}`, "");
});

afterAll(() => place[Symbol.dispose]());

async function stoppedAfter(
  ms: number,
  work: (stop: StopFlag) => Promise<unknown>,
): Promise<number> {
  const stop = addon.stopFlag();
  const working = work(stop);
  await new Promise((resolve) => setTimeout(resolve, ms));
  const asked = performance.now();
  stop.close();
  stop.close();
  await expect(working).rejects.toMatchObject({ code: 130, message: "The work was stopped." });
  return performance.now() - asked;
}

describe("a stop flag", () => {
  it("ends a digest in the middle of a file", async () => {
    writeFileSync(`${place.directory("large")}/file`, Buffer.alloc(LARGE_BYTES, "data"));
    const digest = async (stop: StopFlag): Promise<unknown> =>
      addon.digestVolume(
        { volume: place.at("large"), threads: 1, oneFileSystem: true, selinux: "drop", rules: [] },
        () => undefined,
        null,
        stop,
      );
    const began = performance.now();
    await digest(addon.stopFlag());
    const whole = performance.now() - began;
    expect(await stoppedAfter(whole / 10, digest)).toBeLessThan(whole / 2);
  });

  it("ends a count", async () => {
    const took = await stoppedAfter(0, (stop) => addon.measureVolume(many, true, [], stop));
    expect(took).toBeLessThan(SOON_MS);
  });

  it("that was closed before lets no work begin", async () => {
    const stop = addon.stopFlag();
    stop.close();
    await expect(addon.measureVolume(many, true, [], stop)).rejects.toMatchObject({ code: 130 });
  });
});
