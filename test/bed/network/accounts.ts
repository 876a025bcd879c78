/** Users of a program that believes in the machine's users: seen by that program alone, so that the machine has none more. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Credentials } from "./proxy.ts";

/** Nobody else's, on Debian: neither a package's nor a person's. */
const ID = 59_000;
const ENTER = `mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/shadow && shift 2 && exec "$@"`;

function hashOf(password: string): string {
  return execFileSync("openssl", ["passwd", "-6", "-stdin"], {
    input: password,
    encoding: "utf8",
  }).trim();
}

/** The first of a name is the one that counts. Put before a program that is started in a network namespace, where it has mounts of its own. */
export function knowingUser(folder: string, { user, password }: Credentials): readonly string[] {
  const [people, secrets] = [join(folder, "passwd"), join(folder, "shadow")];
  const person = `${user}:x:${ID}:${ID}::${folder}:/usr/sbin/nologin`;
  const secret = `${user}:${hashOf(password)}:20000:0:99999:7:::`;
  writeFileSync(people, `${person}\n${readFileSync("/etc/passwd", "utf8")}`);
  writeFileSync(secrets, `${secret}\n${readFileSync("/etc/shadow", "utf8")}`, { mode: 0o600 });
  return ["sh", "-c", ENTER, "sh", people, secrets];
}
