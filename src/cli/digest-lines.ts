/**
 * Lines for `b3sum --check`: digest, two blanks, name. Where the name holds a backslash or a newline, both are escaped
 * and the line begins with a backslash. b3sum cannot check names that are not UTF-8, nor those that hold U+FFFD, which
 * it takes for the trace of such a name; and it knows nothing of the block form. It fails on lines that it does not
 * understand, comments included, so these files are told apart from the others and go elsewhere.
 */

import { printableName } from "../core/names.ts";
import type { FileDigest } from "../native/types.ts";

export function checkLine({ path, digest, form }: FileDigest): string | null {
  if (form !== "plain" || path === null || path.includes("\uFFFD")) return null;
  const escaped = path.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return `${escaped === path ? "" : "\\"}${digest}  ${escaped}`;
}

/** The same for people: what b3sum cannot judge. */
export function uncheckableText(file: FileDigest): string {
  const why = file.form === "block" ? "block form" : "name that b3sum cannot check";
  return `${file.digest}  ${printableName(file)} (${why})`;
}
