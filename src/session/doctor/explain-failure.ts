/**
 * What it means when a path was open and the TLS handshake at its end failed: another look at the certificate says who
 * answered there. A transfer that fails and a doctor say it in the same words, because both ask here.
 */

import { lookup } from "node:dns/promises";
import { closeSync } from "node:fs";

import { LIMITS } from "../../config/limits.ts";
import { hostPortText } from "../../config/value-kinds.ts";
import { PvferryError } from "../../core/errors.ts";
import { clause } from "../../core/sentences.ts";
import type { Addon } from "../../native/types.ts";
import type { Path } from "../../net/path.ts";
import { lookAtCertificate } from "../../net/tls-look.ts";
import { isRefusal } from "../endings.ts";
import type { TlsMaterial } from "../run-options.ts";
import { toTlsIdentity } from "../tls-identity.ts";
import { explainCertificate } from "./explain-tls.ts";
import { packetsLost } from "./packets-lost.ts";

export interface FailedHandshake {
  readonly addon: Addon;
  readonly path: Path;
  readonly tls: TlsMaterial;
  /** The turn in which it was dialled. */
  readonly turn: number;
  readonly error: PvferryError;
  /** The other side said nothing until the time was over. */
  readonly wasSilent: boolean;
}

/** Resolves with what to say; with `error` itself when nothing more can be found out. */
export async function explainFailure(
  failed: FailedHandshake,
  signal: AbortSignal,
): Promise<PvferryError> {
  const { path, error } = failed;
  try {
    if (error.code === 22 && !isRefusal(error)) return (await lookAgain(failed, signal)) ?? error;
    if (error.code === 20 && failed.wasSilent) return (await losesLarge(failed, signal)) ?? error;
    return error.code === 20 && path.endpoint.kind === "route" ? closedByRouter(error) : error;
  } catch {
    signal.throwIfAborted();
    // The second look is an extra: what failed first counts.
    return error;
  }
}

async function lookAgain(
  { path, turn, tls: { ca } }: FailedHandshake,
  signal: AbortSignal,
): Promise<PvferryError | null> {
  const { endpoint, proxies, serverName } = path;
  const timeoutMs = LIMITS.connectAttemptMs;
  const { host, stream } = await path.connect(turn, { timeoutMs, signal });
  const certificate = await lookAtCertificate(stream, { serverName, ca, timeoutMs, signal });
  return certificate && explainCertificate({ endpoint, host, proxies, certificate });
}

/** A router answers the connection itself, and ends it when it has nobody to hand it to. */
function closedByRouter(error: PvferryError): PvferryError {
  return new PvferryError({
    code: 20,
    message: `${clause(error.message)}: the router answers, but has no endpoint behind the route (or is being reloaded)`,
    next: "Check that the target's pod runs and is ready, and that the route's Service selects it (oc get endpoints).",
    cause: error,
  });
}

/**
 * Where a handshake in small packets is complete, those of full size were lost. Only a direct path can be tried like that: what
 * is behind a proxy keeps packet sizes of its own.
 */
async function losesLarge(
  { addon, path, tls, error }: FailedHandshake,
  signal: AbortSignal,
): Promise<PvferryError | null> {
  const { endpoint, serverName, hops } = path;
  if (hops.length > 0) return null;
  const { address } = await lookup(endpoint.hosts[0]);
  const timeoutMs = LIMITS.connectAttemptMs;
  const fd = await addon.dialInSmallSegments(address, endpoint.port, timeoutMs);
  try {
    const identity = toTlsIdentity(tls);
    const options = {
      tls: identity,
      serverName,
      peerName: null,
      timeoutMs,
      protocol: "doctor",
    } as const;
    const connection = await addon.connect(fd, options);
    connection.close();
  } finally {
    closeSync(fd);
  }
  signal.throwIfAborted();
  return packetsLost(hostPortText({ host: endpoint.hosts[0], port: endpoint.port }), error);
}
