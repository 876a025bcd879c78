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
import { askForPage, type HttpAnswer } from "../../net/http-look.ts";
import type { Path } from "../../net/path.ts";
import { lookAtCertificate, untrusted } from "../../net/tls-look.ts";
import { isRefusal } from "../endings.ts";
import type { TlsMaterial } from "../run-options.ts";
import { toTlsIdentity } from "../tls-identity.ts";
import { explainCertificate, mayBeWebServer, upgradesOnly } from "./explain-tls.ts";
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

/** Whoever has a page to show shows it by then. */
const SOON_MS = 3_000;

/** Resolves with what to say; with `error` itself when nothing more can be found out. */
export async function explainFailure(
  failed: FailedHandshake,
  signal: AbortSignal,
): Promise<PvferryError> {
  const { path, error } = failed;
  try {
    const isAnother = error.code === 22 || error.code === 23;
    if (isAnother && !isRefusal(error)) return (await lookAgain(failed, signal)) ?? error;
    if (error.code === 20 && failed.wasSilent) return (await losesLarge(failed, signal)) ?? error;
    return error.code === 20 && path.endpoint.kind === "route" ? closedByRouter(error) : error;
  } catch {
    signal.throwIfAborted();
    // The second look is an extra: what failed first counts.
    return error;
  }
}

/** Whoever answers TLS has a certificate to show; whoever does not may still speak HTTP. */
async function lookAgain(
  failed: FailedHandshake,
  signal: AbortSignal,
): Promise<PvferryError | null> {
  const { path, turn, tls, error } = failed;
  const { endpoint, proxies, serverName } = path;
  // Code 23: what answered has answered at once.
  const timeoutMs = error.code === 23 ? SOON_MS : LIMITS.connectAttemptMs;
  const limits = { timeoutMs, signal };
  const { host, stream } = await path.connect(turn, limits);
  const certificate = await lookAtCertificate(stream, { serverName, ca: tls.ca, ...limits });
  if (certificate === null) {
    const web = error.code === 23 ? await webAnswer(failed, signal, "plain") : null;
    const address = hostPortText({ host, port: endpoint.port });
    return web?.passesOnlyUpgrades === true ? upgradesOnly(address, web.said, error) : null;
  }
  const answerer = { endpoint, host, proxies, certificate };
  if (!mayBeWebServer(answerer)) return explainCertificate(answerer);
  return explainCertificate({ ...answerer, web: await webAnswer(failed, signal, "TLS") });
}

/** On a connection of its own, since a page may end it. */
async function webAnswer(
  { path, turn }: FailedHandshake,
  signal: AbortSignal,
  over: "plain" | "TLS",
): Promise<HttpAnswer | null> {
  const limits = { timeoutMs: SOON_MS, signal };
  try {
    const { host, stream } = await path.connect(turn, limits);
    const options = { serverName: path.serverName, ...limits };
    const way = over === "plain" ? stream : await untrusted(stream, ["http/1.1"], options);
    return way && (await askForPage(way, { host, ...limits }));
  } catch {
    signal.throwIfAborted();
    return null;
  }
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
