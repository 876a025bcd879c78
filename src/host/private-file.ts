/**
 * Whether a file that holds a key is kept from others.
 *
 * The rule: neither group nor others may have any right to it (mode & 077 is 0), except on a mount made by the kubelet,
 * where nobody but this pod's containers can see it. The kubelet writes Secrets into a tmpfs of their own which it
 * mounts read-only, with mode 0644 unless told otherwise and 0640 under fsGroup, owned by root: an agent with an
 * arbitrary UID could not read a 0600 file there. Such a mount is told by being read-only and either a tmpfs (a whole
 * volume, or one file of it by subPath) or laid out with a `..data` link beside the file (runtimes that hand the tmpfs
 * through another file system to a virtual machine). A read-only root file system is neither.
 */

import { existsSync, realpathSync, statSync } from "node:fs";
import path from "node:path";

import { mountOf, type Mount } from "./mounts.ts";

export type Privacy =
  | { readonly type: "private" }
  | { readonly type: "kubelet-mount" }
  | { readonly type: "exposed"; readonly mode: string };

export function privacyOf(
  file: string,
  findMount: (file: string) => Mount | null = mountOf,
): Privacy {
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) === 0) return { type: "private" };
  const mount = findMount(realpathSync(file));
  const kubeletLayout = existsSync(path.join(path.dirname(file), "..data"));
  if (mount?.readOnly === true && (mount.filesystem === "tmpfs" || kubeletLayout)) {
    return { type: "kubelet-mount" };
  }
  return { type: "exposed", mode: mode.toString(8).padStart(4, "0") };
}
