import { escapeText, shortName } from "../core/names.ts";
import type { Item } from "../native/types.ts";

/** "source unreadable data/db.lock: data: Permission denied (EACCES)" */
export function itemText(item: Item): string {
  const { side, class: itemClass, what, detail, errno } = item;
  const name = shortName(item);
  const reason = [escapeText(what), escapeText(detail)].filter((part) => part !== "").join(": ");
  const unsaid = errno === null || detail.includes(errno) ? "" : ` (${errno})`;
  return `${side} ${itemClass} ${name === "" ? "." : name}: ${reason}${unsaid}`;
}
