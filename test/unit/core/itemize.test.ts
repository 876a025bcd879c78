import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { changeLine, listedDifference } from "../../../src/core/itemize.ts";
import type { Aspect, Difference } from "../../../src/native/types.ts";

const FILE: Difference = {
  change: "replaced",
  kind: "file",
  aspects: [],
  path: "a/b",
  pathBytes: null,
  to: null,
  toBytes: null,
};

function letters(changes: Partial<Difference>): string {
  return listedDifference({ ...FILE, ...changes }).letters;
}

describe("the letters of a difference", () => {
  it.each<[string, Partial<Difference>]>([
    [">f+++++++++", { change: "missing" }],
    ["cd+++++++++", { change: "missing", kind: "directory" }],
    ["cL+++++++++", { change: "missing", kind: "symlink" }],
    ["cD+++++++++", { change: "missing", kind: "device" }],
    ["cS+++++++++", { change: "missing", kind: "fifo" }],
    ["cS+++++++++", { change: "missing", kind: "socket" }],
    ["hf+++++++++", { change: "missing", aspects: ["link"] }],
    [">f.st......", { aspects: ["size", "time"] }],
    [">fc........", { aspects: ["content"] }],
    // rsync blanks the letters of what is not sent, and prints dots for what is.
    [">f.........", {}],
    ["hf         ", { change: "attributes", aspects: ["link"] }],
    ["hf..t......", { change: "attributes", aspects: ["link", "time"] }],
    [".f...pog.ax", { change: "attributes", aspects: ["mode", "owner", "group", "acl", "xattrs"] }],
    [".d..t......", { change: "attributes", kind: "directory", aspects: ["time"] }],
    ["cLc.t......", { kind: "symlink", aspects: ["content", "time"] }],
    ["*deleting  ", { change: "extra", kind: "directory" }],
  ])("are %j", (expected, changes) => {
    expect(letters(changes)).toBe(expected);
  });

  it("are those of the document", () => {
    const document = readFileSync(new URL("../../../docs/operating.md", import.meta.url), "utf8");
    const rows = [...document.matchAll(/^\| `([a-z])` \| (\w+)/gmu)].map(([, ...row]) => row);
    const aspects: readonly (readonly [string, Aspect | null])[] = [
      ["c", "content"],
      ["s", "size"],
      ["t", "time"],
      ["p", "mode"],
      ["o", "owner"],
      ["g", "group"],
      ["u", null],
      ["a", "acl"],
      ["x", "xattrs"],
    ];
    expect(rows.map(([letter]) => letter)).toEqual(aspects.map(([letter]) => letter));
    for (const [at, [letter, aspect]] of aspects.entries()) {
      const shown = aspect === null ? "." : letters({ aspects: [aspect] }).charAt(2 + at);
      expect(shown).toBe(aspect === null ? "." : letter);
    }
  });
});

describe("the line", () => {
  it("ends a directory's name in a slash, and names the root", () => {
    const directory = {
      ...FILE,
      change: "attributes",
      kind: "directory",
      aspects: ["time"],
    } as const;
    expect(changeLine(directory)).toBe(".d..t...... a/b/");
    expect(changeLine({ ...directory, path: "" })).toBe(".d..t...... ./");
  });

  it("says where links lead, and escapes what no terminal should get", () => {
    const link = { ...FILE, kind: "symlink", change: "missing", to: "x\u001b[2J" } as const;
    expect(changeLine(link)).toBe("cL+++++++++ a/b -> x\\x1b[2J");
    const name = { ...FILE, change: "missing", aspects: ["link"], to: "a/a" } as const;
    expect(changeLine(name)).toBe("hf+++++++++ a/b => a/a");
    const bytes = { ...FILE, change: "extra", path: null, pathBytes: "/wo=" } as const;
    expect(changeLine(bytes)).toBe("*deleting   \\xff\\n");
  });
});
