/** A listener for one side of a transfer, with the bounds that hold for every one. */

import { LIMITS } from "../config/limits.ts";
import type { Addon, Connection, Listener } from "../native/types.ts";
import type { TlsMaterial } from "./run-options.ts";
import { toTlsIdentity } from "./tls-identity.ts";

export interface ListeningPlace {
  readonly host: string;
  /** null: nowhere, there are only connections that this side has dialled. */
  readonly port: number | null;
}

/** Throws what listen throws: 33 when the port is in use, 31 and others. */
export function openListener(
  addon: Addon,
  { host, port }: ListeningPlace,
  tls: TlsMaterial,
  onConnection: (connection: Connection) => void,
): Listener {
  return addon.listen(
    {
      host,
      port,
      tls: toTlsIdentity(tls),
      handshakeTimeoutMs: LIMITS.handshakeTimeoutMs,
      maxUnauthenticated: LIMITS.maxUnauthenticated,
      maxUnbound: LIMITS.maxUnbound,
    },
    onConnection,
  );
}
