/** From a path to a trusted connection; when only the handshake fails, with the reason as far as it can be found out. */

import { PvferryError, toPvferryError } from "../core/errors.ts";
import type { Addon, Connection, ConnectionProtocol } from "../native/types.ts";
import type { DialedStream } from "../net/dialer.ts";
import type { Connected, DialLimits, Path } from "../net/path.ts";
import type { TlsMaterial } from "./run-options.ts";
import { toTlsIdentity } from "./tls-identity.ts";

export interface Opening {
  readonly addon: Addon;
  readonly path: Path;
  readonly tls: TlsMaterial;
  readonly protocol: ConnectionProtocol;
  /** As Path.dial takes it. */
  readonly turn: number;
  /** When it has been dialled already. */
  readonly connected?: Connected | undefined;
  /** The way is open; TLS is to follow. */
  readonly onDialled?: ((stream: DialedStream) => void) | undefined;
}

/** So much of the time has to have gone by for a failure to count as silence. */
const SILENT = 0.95;

/** Rejects with a PvferryError, or with the signal's reason. */
export async function openConnection(opening: Opening, limits: DialLimits): Promise<Connection> {
  const { addon, path, tls, protocol, turn, connected } = opening;
  const { serverName } = path;
  const stream = connected ? path.hand(connected) : await path.dial(turn, limits);
  const began = performance.now();
  try {
    opening.onDialled?.(stream);
    const { fd, peerName } = stream;
    const identity = toTlsIdentity(tls);
    const { timeoutMs } = limits;
    return await addon.connect(fd, { tls: identity, serverName, peerName, timeoutMs, protocol });
  } catch (thrown) {
    const error = toPvferryError(thrown);
    if (path.isIncoming) throw byStranger(error);
    const wasSilent = performance.now() - began >= limits.timeoutMs * SILENT;
    // Loaded only now: a transfer that succeeds needs none of it, and no TLS of Node's.
    const { explainFailure } = await import("./doctor/explain-failure.ts");
    throw await explainFailure({ addon, path, tls, turn, error, wasSilent }, limits.signal);
  } finally {
    stream.release();
  }
}

/** Anybody may have connected: the one who is meant may be the next. */
function byStranger(error: PvferryError): PvferryError {
  const { code, message, next } = error;
  return new PvferryError({ code, message, next, temporary: true, cause: error });
}
