/** A folder of `pvferry pki init` as the kubelet mounts a Secret: a tmpfs, read-only, whose files everybody may read. */
import { execFileSync } from "node:child_process";

import { mountFilesystem, type Bed } from "./filesystem.ts";

export function secretMount(folder: string): Bed {
  const mount = mountFilesystem({ kind: "tmpfs", mebibytes: 1 });
  execFileSync("cp", ["-a", `${folder}/.`, mount.path]);
  execFileSync("chmod", ["-R", "u=rwX,go=rX", mount.path]);
  mount.remount("ro");
  return mount;
}
