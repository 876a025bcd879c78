/** Extended attributes as getfattr prints them, ACLs as getfacl prints them. */
import { toolOutput } from "./run-tool.ts";
import { ancestorsOfLongPaths, LONG_PATH, type Tree, type TreeEntry } from "./tree.ts";

/** Text per entry: everything that tool said about it, in an order of its own. */
export type Attributes = ReadonlyMap<string, string>;

/**
 * Belongs to a host or to the file system's own bookkeeping (XFS shows its ACLs a second time as trusted.SGI_ACL_*);
 * a copy leaves it out unless it is asked not to.
 */
const LEFT_OUT =
  /^(?:security\.(?:selinux|ima|evm)|trusted\.(?:overlay|gfid|glusterfs|SGI_ACL_FILE|SGI_ACL_DEFAULT)\b.*|btrfs\..*)=/;

/** getfattr and getfacl write \ooo for bytes that would end a line. */
function unescaped(name: string): string {
  return name.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

function relative(name: string): string {
  return name === "." ? "" : name.replace(/^\.\//, "");
}

function shortPaths(tree: Tree, wanted: (entry: TreeEntry) => boolean): string {
  const paths = [...tree.values()].filter((each) => each.path.length <= LONG_PATH && wanted(each));
  return paths.map((each) => `./${each.path}\0`).join("");
}

function blocksOf(output: string): string[][] {
  return output
    .split("\n\n")
    .map((block) => block.split("\n").filter(Boolean))
    .filter((lines) => lines.length > 0);
}

/** What a tool says of entries too deep to be named, by inode, with find going down to each of them. */
async function ofDeepEntries(
  root: string,
  tree: Tree,
  tool: string,
  wanted: string[],
): Promise<Map<string, string>> {
  const byInode = new Map<string, string>();
  const script = `stat -c '# inode %i' -- "$1"; ${tool} -- "$1" | grep -v '^# file: '; echo`;
  for (const top of ancestorsOfLongPaths(tree.keys())) {
    const args = [
      ".",
      "-mindepth",
      "1",
      ...wanted,
      "-execdir",
      "sh",
      "-c",
      script,
      "sh",
      "{}",
      ";",
    ];
    const output = await toolOutput({
      command: "find",
      args: [`./${top}`, ...args.slice(1)],
      cwd: root,
    });
    for (const [inode = "", ...lines] of output
      .split(/^# inode /m)
      .slice(1)
      .map((text) => text.split("\n"))) {
      byInode.set(inode, lines.filter(Boolean).toSorted().join("\n"));
    }
  }
  const deep = [...tree.values()].filter((each) => each.path.length > LONG_PATH);
  return new Map(deep.map((each) => [each.path, byInode.get(each.inode) ?? ""]));
}

export async function xattrsOf(root: string, tree: Tree, keepAll = false): Promise<Attributes> {
  const flags = ["-h", "-d", "-m", "-", "-e", "hex", "--absolute-names"];
  const args = ["-0", "-r", "getfattr", ...flags, "--"];
  const output = await toolOutput({
    command: "xargs",
    args,
    cwd: root,
    input: shortPaths(tree, () => true),
  });
  const kept = (lines: readonly string[]): string =>
    lines
      .filter((line) => keepAll || !LEFT_OUT.test(line))
      .toSorted()
      .join("\n");
  const found = blocksOf(output).map(([head = "", ...lines]): [string, string] => {
    return [relative(unescaped(head.replace("# file: ", ""))), kept(lines)];
  });
  const deep = await ofDeepEntries(root, tree, `getfattr ${flags.join(" ")}`, []);
  return new Map([
    ...found,
    ...[...deep].map(([path, text]): [string, string] => [path, kept(text.split("\n"))]),
  ]);
}

/** ACLs of everything but symbolic links, which have none. */
export async function aclsOf(root: string, tree: Tree): Promise<Attributes> {
  const paths = shortPaths(tree, (each) => each.type !== "l");
  const args = ["-0", "-r", "getfacl", "-n", "-p", "--"];
  const output = await toolOutput({ command: "xargs", args, cwd: root, input: paths });
  const found = blocksOf(output).map(([head = "", ...lines]): [string, string] => {
    return [relative(unescaped(head.replace("# file: ", ""))), lines.join("\n")];
  });
  const deep = await ofDeepEntries(root, tree, "getfacl -n -p", ["!", "-type", "l"]);
  return new Map([...found, ...deep]);
}
