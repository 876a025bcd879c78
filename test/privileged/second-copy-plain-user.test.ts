/** A plain user's second pass: what could not be kept the first time is no reason to send anything again. */
import { chmodSync, chownSync, mkdirSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { scratch } from "../bed/scratch.ts";
import { writePlainTree } from "../volume/plain.ts";

const USER = 12_345;
const WRAPPER = ["setpriv", "--reuid", `${USER}`, "--regid", `${USER}`, "--groups", "0"];

describe("a plain user", () => {
  it("sends nothing the second time, and names the same losses", async () => {
    using place = scratch();
    const [source, target, home] = ["source", "target", "home"].map((name) => {
      const folder = place.directory(name);
      chmodSync(folder, 0o755);
      return folder;
    }) as [string, string, string];
    chmodSync(place.at(""), 0o755);
    await writePlainTree(source, { largeFiles: 1, largeBytes: 2_000_000, smallFiles: 50 });
    mkdirSync(`${source}/read-only`, { mode: 0o555 });
    chownSync(target, USER, USER);
    chownSync(home, USER, USER);
    const pass = async (): Promise<Receipt> => {
      const args = ["copy", source, target, "--json", "--pass", "stage"];
      const options = { wrapper: WRAPPER, environment: { HOME: home } };
      return receiptOf(await pvferry(args, options));
    };
    const first = await pass();
    expect(first.exitCode, JSON.stringify(first)).toBe(41);
    expect(first.movedBytes).toBeGreaterThan(2_000_000);
    const second = await pass();
    expect(second.exitCode, JSON.stringify(second)).toBe(41);
    expect(second).toMatchObject({ exitCode: 41, movedBytes: 0, deleted: 0 });
    expect(second.knownBy.streamed).toBe(0);
    expect(second.items).toEqual(first.items);
  });
});
