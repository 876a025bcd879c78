/** What is drawn anew with every run stands in the names of its tests, and can be had again. */
import process from "node:process";

/** PVFERRY_TEST_SEED, or the time. */
export function testSeed(): string {
  return process.env["PVFERRY_TEST_SEED"] ?? `${Date.now()}`;
}
