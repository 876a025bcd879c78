/**
 * What it means when a path was open and the TLS handshake at its end failed: another look at the certificate says who
 * answered there. A transfer that fails and a doctor say it in the same words, because both ask here.
 */

import { LIMITS } from "../../config/limits.ts";
import { PvferryError } from "../../core/errors.ts";
import { clause } from "../../core/sentences.ts";
import type { Path } from "../../net/path.ts";
import { lookAtCertificate } from "../../net/tls-look.ts";
import { isRefusal } from "../endings.ts";
import { explainCertificate } from "./explain-tls.ts";

export interface FailedHandshake {
  readonly path: Path;
  /** The turn in which it was dialled. */
  readonly turn: number;
  /** This transfer's, PEM. */
  readonly ca: string;
  readonly error: PvferryError;
}

/** Resolves with what to say; with `error` itself when nothing more can be found out. */
export async function explainFailure(
  failed: FailedHandshake,
  signal: AbortSignal,
): Promise<PvferryError> {
  const { path, error } = failed;
  if (error.code === 20 && path.endpoint.kind === "route") return closedByRouter(error);
  if (error.code !== 22 || isRefusal(error)) return error;
  try {
    return (await lookAgain(failed, signal)) ?? error;
  } catch {
    signal.throwIfAborted();
    // The look is an extra: what failed first counts.
    return error;
  }
}

async function lookAgain(
  { path, turn, ca }: FailedHandshake,
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
