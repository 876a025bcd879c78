/** Where programs are looked for. */
import { accessSync, constants, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** Debian keeps the programs of PostgreSQL's server, of every version, away from PATH. */
const POSTGRES = "/usr/lib/postgresql";

function versions(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted((one, other) => Number(other) - Number(one));
  } catch {
    return [];
  }
}

/** What squid calls by itself. */
const SQUID = "/usr/lib/squid";

const FOLDERS = [
  ...`${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":"),
  SQUID,
  ...versions(POSTGRES).map((version) => join(POSTGRES, version, "bin")),
];

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first of this name; null where there is none. */
export function programPath(program: string): string | null {
  return FOLDERS.map((folder) => join(folder, program)).find(isExecutable) ?? null;
}
