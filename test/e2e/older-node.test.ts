/** Under a Node that is too old, pvferry says so, instead of what an import that fails there would say. */
import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { pvferry } from "../agent/run-pvferry.ts";

const PACKAGE = new URL("../../package.json", import.meta.url);

/** Makes the process believe that it is another release. */
function pretending(version: string): { readonly NODE_OPTIONS: string } {
  const script = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
}

it("an older Node than package.json's engines is told in a sentence", async () => {
  const { engines } = JSON.parse(readFileSync(PACKAGE, "utf8")) as { engines: { node: string } };
  const oldest = Number(engines.node.replace(">=", ""));
  const tooOld = await pvferry(["--version"], { environment: pretending(`${oldest - 1}.9.0`) });
  expect(tooOld).toMatchObject({ code: 2, stdout: "" });
  expect(tooOld.stderr).toContain(
    `Node.js ${oldest - 1}.9.0, and pvferry needs ${oldest} or newer.`,
  );
  expect(tooOld.stderr.split("\n")).toHaveLength(3);
  const oldEnough = await pvferry(["--version"], { environment: pretending(`${oldest}.0.0`) });
  expect(oldEnough).toMatchObject({ code: 0, stderr: "" });
});
