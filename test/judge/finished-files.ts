/** What an unfinished copy has finished. */
import { listTree } from "./tree.ts";

/** Paths of the files that bear size and time of the source's; also while a target still writes. */
export async function finishedFiles(source: string, target: string): Promise<string[]> {
  const [ours, theirs] = await Promise.all([
    listTree(source, []),
    listTree(target, [".pvferry"], true),
  ]);
  const finished = [...ours.values()].filter(({ path, type, facts }) => {
    const other = theirs.get(path)?.facts;
    return (
      type === "f" &&
      other?.get("mtime") === facts.get("mtime") &&
      other?.get("size") === facts.get("size")
    );
  });
  return finished.map(({ path }) => path);
}
