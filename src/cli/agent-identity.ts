/** What pki knows of certificates and host of files and mounts, put together for one agent. */

import path from "node:path";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { fileError } from "../core/system-errors.ts";
import type { Role } from "../core/transfer-id.ts";
import { privacyOf } from "../host/private-file.ts";
import { expiryNotice, type AgentIdentity } from "../pki/identity.ts";
import { loadIdentity } from "../pki/load.ts";

/** The certificates in --tls, checked; of either side when `role` is null. `notice` is told when they end soon. */
export function agentIdentity(
  folder: string,
  role: Role | null,
  notice: (message: string) => void,
): AgentIdentity {
  const identity = loadIdentity(folder, role, refuseExposedKey);
  const soon = expiryNotice(identity);
  if (soon !== null) notice(soon);
  return identity;
}

/**
 * Code 2, not 22: nobody distrusts anybody yet, the folder has to be put right. What others could read they may have
 * copied, so that a chmod alone is not all of the advice.
 */
function refuseExposedKey(file: string): void {
  const privacy = privacyAt(file);
  if (privacy.type !== "exposed") return;
  throw new PvferryError({
    code: 2,
    message: `The key ${escapeText(file)} can be read by others (mode ${privacy.mode}); it is not used.`,
    next: `chmod 600 ${escapeText(path.normalize(file))}, and make a new PKI if somebody may have read it.`,
  });
}

/** A key that is not there is told by its path, like any other file. */
function privacyAt(file: string): ReturnType<typeof privacyOf> {
  try {
    return privacyOf(file);
  } catch (cause) {
    throw fileError("read", file, cause);
  }
}
