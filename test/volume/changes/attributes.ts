/** Changes to everything about an entry but its name and its data. */
import { execFileSync } from "node:child_process";
import { chmodSync, lchownSync, lutimesSync } from "node:fs";

import { fileAt, statOf, type Change, type Place } from "./change.ts";

const LARGEST_ID = 4_294_967_294;
/** Some day of the last years, to the millisecond. */
const OLDEST_MS = 1_500_000_000_000;

/** A file or directory, with an attribute or ACL of which more than one may be there. */
function plainAt(place: Place): string | null {
  const path = place.path();
  const stat = statOf(path);
  return stat?.isFile() === true || stat?.isDirectory() === true ? path : null;
}

export const ATTRIBUTE_CHANGES: { readonly [name: string]: Change } = {
  "another mode": (place) => {
    const path = plainAt(place);
    const special = place.random.below(4) === 0 ? 0o1000 * place.random.below(8) : 0;
    if (path !== null) chmodSync(path, special + 0o700 + place.random.below(0o100));
  },
  "another owner": ({ path, random, privileged, groups }) => {
    const target = path();
    const stat = statOf(target);
    if (stat === null) return;
    const id = (): number => (random.below(3) === 0 ? random.below(LARGEST_ID) : random.below(4));
    if (privileged) lchownSync(target, id(), id());
    else lchownSync(target, stat.uid, groups[random.below(groups.length)] ?? stat.gid);
  },
  "another time": ({ path, random }) => {
    const target = path();
    if (statOf(target) === null) return;
    const ms = OLDEST_MS + random.below(200_000_000_000);
    lutimesSync(target, ms / 1000, ms / 1000);
  },
  "an attribute set": (place) => {
    const path = plainAt(place);
    if (path === null) return;
    const trusted = place.privileged && place.random.below(3) === 0 ? "trusted" : "user";
    const name = `${trusted}.round${place.random.below(2)}`;
    execFileSync("setfattr", ["-n", name, "-v", `${place.random.below(100)}`, path]);
  },
  "attributes removed": (place) => {
    const path = plainAt(place);
    if (path === null) return;
    const script = `getfattr -m '^(user|trusted)[.]round' --absolute-names -- "$1" | sed -n '2,$p' |
      while read -r name; do [ -z "$name" ] || setfattr -x "$name" -- "$1"; done`;
    execFileSync("sh", ["-c", script, "sh", path]);
  },
  "an ACL changed": (place) => {
    const path = place.path();
    if (fileAt(path) === null) return;
    execFileSync("setfacl", ["-m", `u:${place.random.below(5_000)}:r`, path]);
  },
  "a default ACL": (place) => {
    const path = place.path();
    if (statOf(path)?.isDirectory() !== true) return;
    execFileSync("setfacl", ["-d", "-m", `g:${place.random.below(5_000)}:rx`, path]);
  },
  "ACLs removed": (place) => {
    const path = plainAt(place);
    if (path !== null) execFileSync("setfacl", ["-b", path]);
  },
};
