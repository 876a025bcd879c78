/** From one side's certificate folder to what the native core wants to know. */

import { leafUri, oppositeRole } from "../core/transfer-id.ts";
import type { TlsIdentity } from "../native/types.ts";
import type { TlsMaterial } from "./run-options.ts";

export function toTlsIdentity(material: TlsMaterial): TlsIdentity {
  return {
    ca: material.ca,
    certificate: material.certificate,
    key: material.key,
    peerUri: leafUri({ transfer: material.transfer, role: oppositeRole(material.role) }),
  };
}
