/** Contents and holes of regular files, and the second opinion of rsync. */
import { fileURLToPath } from "node:url";

import type { Difference } from "./difference.ts";
import { askTool, toolOutput } from "./run-tool.ts";
import { ancestorsOfLongPaths, type Tree } from "./tree.ts";

const SCRIPT = fileURLToPath(new URL("compare-contents.pl", import.meta.url));
/** rsync reads holes like data: beyond this a sparse file is left to the comparison above. */
const RSYNC_READS = 4 * 1024 ** 3;

/** Compares all files that are in both trees with the same size, by where their data lies and byte by byte. */
export async function compareContents(
  left: string,
  right: string,
  both: readonly string[],
): Promise<Difference[]> {
  const input = both.map((path) => `${path}\0`).join("");
  const output = await toolOutput({ command: "perl", args: [SCRIPT, left, right], input });
  const fields = output.split("\0");
  const differences: Difference[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const what = fields[at + 1] ?? "";
    differences.push({ path: fields[at] ?? "", what });
  }
  return differences;
}

/** Attributes that a copy leaves out (attributes.ts), and those that rsync leaves out until it is given a rule of this kind. */
const XATTR_RULES = [
  "trusted.SGI_ACL_*",
  "trusted.overlay.*",
  "trusted.gfid*",
  "trusted.glusterfs.*",
  "security.selinux",
  "security.ima",
  "security.evm",
  "system.*",
].map((name) => `--filter=-x ${name}`);

function pattern(path: string): string {
  return `/${path.replaceAll(/[*?[\\]/g, (special) => `\\${special}`)}\0`;
}

/** What rsync would still do to make the right tree like the left. Its limits: 4096 bytes of path, and patience. */
export async function rsyncDifferences(
  left: string,
  right: string,
  tree: Tree,
  excluded: readonly string[],
): Promise<Difference[]> {
  const tooLarge = [...tree.values()].filter(
    (each) => each.type === "f" && each.size > RSYNC_READS,
  );
  const left_out = [
    ...excluded,
    ...ancestorsOfLongPaths(tree.keys()),
    ...tooLarge.map((each) => each.path),
  ];
  const flags = [
    "-naHAXS",
    "--checksum",
    "--modify-window=-1",
    "--numeric-ids",
    "--delete",
    "--itemize-changes",
  ];
  const answer = await askTool({
    command: "rsync",
    args: [
      ...flags,
      ...XATTR_RULES,
      "--8-bit-output",
      "--from0",
      "--exclude-from=-",
      `${left}/`,
      `${right}/`,
    ],
    input: left_out.map(pattern).join(""),
  });
  const lines = `${answer.output}${answer.complaints}`.split("\n").filter(Boolean);
  if (answer.status !== 0) lines.push(`rsync ended with ${answer.status}`);
  return lines.map((line) => ({ path: "", what: `rsync: ${line}` }));
}
