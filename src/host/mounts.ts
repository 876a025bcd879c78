/** Which mount holds a file, from /proc/self/mountinfo (see proc_pid_mountinfo(5)). */

import { readFileSync } from "node:fs";

export interface Mount {
  readonly mountPoint: string;
  /** "major:minor" of the file system, and the folder of it that is mounted here (bind mounts: a deeper one). */
  readonly device: string;
  readonly root: string;
  readonly filesystem: string;
  readonly readOnly: boolean;
}

/** null when the table cannot be read. `file` has to be resolved (realpath). */
export function mountOf(file: string, table = readTable()): Mount | null {
  const holders = parseMounts(table).filter(
    ({ mountPoint }) =>
      mountPoint === "/" || file === mountPoint || file.startsWith(`${mountPoint}/`),
  );
  // Of several on one point the last one covers the others.
  return holders.reduce<Mount | null>(
    (best, mount) =>
      best === null || mount.mountPoint.length >= best.mountPoint.length ? mount : best,
    null,
  );
}

function parseMounts(table: string): readonly Mount[] {
  return table.split("\n").flatMap((line) => {
    const [own = "", behind = ""] = line.split(" - ", 2);
    const [, , device = "", root = "", point, options] = own.split(" ");
    const [filesystem = "", , superOptions = ""] = behind.split(" ");
    if (point === undefined || options === undefined) return [];
    const readOnly = `${options},${superOptions}`.split(",").includes("ro");
    const mountPoint = unescapeOctal(point);
    return [{ mountPoint, device, root: unescapeOctal(root), filesystem, readOnly }];
  });
}

/** The kernel writes blanks, tabs, newlines and backslashes as \040, \011, \012 and \134. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

function readTable(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}
