/**
 * A difference as rsync's --itemize-changes prints it: eleven letters, a space, the name. docs/operating.md has the same
 * tables; rsync(1), "--itemize-changes", is where they come from.
 */

import type { Aspect, Difference, EntryKind } from "../native/types.ts";
import { printableName } from "./names.ts";

/** The first letter says what a copy would do. */
const REMOVE = "*deleting  ";
const SEND = ">";
const MAKE = "c";
const LINK = "h";
const KEEP = ".";

const KIND_LETTERS: { readonly [kind in EntryKind]: string } = {
  file: "f",
  directory: "d",
  symlink: "L",
  device: "D",
  fifo: "S",
  socket: "S",
};

/** The places of the nine letters that follow, in order. "u", the access time, never differs: it is not kept. */
const PLACES: readonly (readonly [string, Aspect | null])[] = [
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

/** The eleven characters. */
function changeLetters(difference: Difference): string {
  const { change, kind, aspects } = difference;
  if (change === "extra") return REMOVE;
  const first = `${actionLetter(difference)}${KIND_LETTERS[kind]}`;
  if (change === "missing") return `${first}${"+".repeat(PLACES.length)}`;
  const letters = PLACES.map(([letter, aspect]) =>
    aspect !== null && aspects.includes(aspect) ? letter : ".",
  ).join("");
  const nothing = letters === ".".repeat(PLACES.length) && !first.startsWith(SEND);
  return `${first}${nothing ? " ".repeat(PLACES.length) : letters}`;
}

function actionLetter({ change, kind, aspects }: Difference): string {
  if (aspects.includes("link")) return LINK;
  if (change === "attributes") return KEEP;
  return kind === "file" ? SEND : MAKE;
}

/** As receipts and --list have it: the letters beside what they stand for. */
export interface ListedDifference extends Difference {
  readonly letters: string;
}

export function listedDifference(difference: Difference): ListedDifference {
  return { letters: changeLetters(difference), ...difference };
}

/** One line. A directory's name ends in a slash, and the root's is "./". */
export function changeLine(difference: Difference): string {
  return `${changeLetters(difference)} ${nameText(difference)}${toText(difference)}`;
}

function nameText(difference: Difference): string {
  const name = printableName(difference);
  if (difference.kind !== "directory") return name;
  return name === "" ? "./" : `${name}/`;
}

function toText({ to, toBytes, kind, aspects }: Difference): string {
  if (to === null && toBytes === null) return "";
  const name = printableName({ path: to, pathBytes: toBytes });
  if (aspects.includes("link")) return ` => ${name}`;
  return kind === "symlink" ? ` -> ${name}` : "";
}
