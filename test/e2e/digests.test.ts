/** Every file digest is what b3sum prints. */
import { appendFileSync } from "node:fs";
import process from "node:process";

import { expect, it } from "vitest";

import { pvferry } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";
import { askTool } from "../judge/run-tool.ts";
import { makeEntries } from "../volume/apply.ts";
import { directory, type Entry } from "../volume/entry.ts";
import { sizes, sparse } from "../volume/every-kind/contents.ts";
import { names } from "../volume/every-kind/names.ts";
import { ownIds } from "../volume/plain.ts";
import { randomBytes } from "../volume/random-bytes.ts";

function entries(): Entry[] {
  const random = randomBytes("digests");
  const made = [directory(""), ...sizes(random), ...sparse(random), ...names()];
  return made.map((each) => ({ ...each, ...ownIds() }));
}

/** Paths as `b3sum --check` reads them, decoded. */
function listed(output: string): Map<string, string> {
  const lines = output.split("\n").filter(Boolean);
  return new Map(
    lines.map((line) => {
      const [digest = "", ...rest] = line.replace(/^\\/, "").split("  ");
      const text = rest.join("  ");
      const path = line.startsWith("\\")
        ? text.replaceAll("\\n", "\n").replaceAll("\\\\", "\\")
        : text;
      return [path.replace(/^\.\//, ""), digest];
    }),
  );
}

describeWith({ programs: ["b3sum"] }, "digest --files", () => {
  it("prints what b3sum accepts, for every file that b3sum can name", async () => {
    using place = scratch();
    const volume = place.directory("volume");
    await makeEntries(volume, entries());
    const { code, stdout, stderr } = await pvferry(["digest", volume, "--files"]);
    expect(code, stderr).toBe(0);
    const input = Buffer.from(stdout, "utf8").toString("latin1");
    const check = async () =>
      askTool({ command: "b3sum", args: ["--check", "-"], cwd: volume, input });
    const answer = await check();
    expect(answer.status, answer.complaints).toBe(0);

    const paths = new Set(listed(stdout).keys());
    const expected = entries().filter(({ path, content }) => {
      if (content.type !== "file" || content.size > 2 ** 30) return false;
      return Buffer.from(path, "latin1").toString("utf8").includes("\ufffd") === false;
    });
    for (const { path } of expected.filter((each) => !each.path.includes("\\"))) {
      expect(paths).toContain(Buffer.from(path, "latin1").toString("utf8"));
    }

    // And b3sum is able to say no.
    appendFileSync(`${volume}/sizes/00001024`, "x");
    expect((await check()).status).not.toBe(0);
  });

  it("says the same roots for the same tree elsewhere, and others after any change", async () => {
    using place = scratch();
    const roots = async (folder: string): Promise<{ content: string; metadata: string }> => {
      const { stdout } = await pvferry(["digest", folder, "--json"]);
      return (JSON.parse(stdout) as { roots: { content: string; metadata: string } }).roots;
    };
    const [one, other] = [place.directory("one"), place.directory("other")];
    await makeEntries(one, entries());
    await makeEntries(other, entries());
    const before = await roots(one);
    expect(await roots(other)).toEqual(before);
    await askTool({ command: "touch", args: ["-d", "@1.000000001", `${other}/sizes/00000001`] });
    const touched = await roots(other);
    expect(touched.content).toBe(before.content);
    expect(touched.metadata).not.toBe(before.metadata);
    appendFileSync(`${other}/sizes/00000000`, process.version);
    expect((await roots(other)).content).not.toBe(before.content);
  });
});
