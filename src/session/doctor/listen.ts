/** The other end of a diagnosis when there is no target yet: two people can examine a path before any volume exists. */

import { hostPortText, type HostPort } from "../../config/value-kinds.ts";
import type { PvferryError } from "../../core/errors.ts";
import type { Addon, Listener } from "../../native/types.ts";
import type { RemoteForward } from "../../net/remote-forward.ts";
import { intoListener } from "../into-listener.ts";
import { openListener } from "../open-listener.ts";
import type { TlsMaterial } from "../run-options.ts";
import { stayAlive } from "../stay-alive.ts";
import { Strangers } from "../strangers.ts";
import { DoctorHost } from "./host.ts";

export interface DoctorListener {
  /** Here, or on a bastion. */
  readonly at: HostPort | RemoteForward;
  readonly tls: TlsMaterial;
}

export interface DoctorListenerParts {
  readonly addon: Addon;
  readonly agent: string;
  readonly notice: (message: string) => void;
  /** `address` is null when a bastion does. */
  readonly listening: (text: string, address: HostPort | null) => void;
}

/** Ends only by the signal, with its reason, or when a bastion refuses for good. Throws what listen throws. */
export async function listenForDoctors(
  { at, tls }: DoctorListener,
  parts: DoctorListenerParts,
  signal: AbortSignal,
): Promise<never> {
  const { addon, agent, notice } = parts;
  const host = new DoctorHost(agent, notice);
  const where = "host" in at ? at : { host: "", port: null };
  const listener = openListener(addon, where, tls, (connection) => host.welcome(connection));
  const strangers = new Strangers(() => listener.counts(), notice);
  const ended = Promise.withResolvers<never>();
  const stop = (): void => ended.reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const letGo = stayAlive();
  const forwarded = "host" in at ? null : openForward(at, listener, parts, ended.reject);
  if ("host" in at) {
    const address = { host: at.host, port: listener.port() };
    parts.listening(hostPortText(address), address);
  }
  try {
    return await ended.promise;
  } finally {
    letGo();
    forwarded?.close();
    strangers.close();
    host.close();
    listener.close();
  }
}

function openForward(
  forward: RemoteForward,
  listener: Listener,
  { addon, notice, listening }: DoctorListenerParts,
  fail: (error: PvferryError) => void,
): { close(): void } {
  const waiting = (what: string): void => notice(`Waiting for ${what}.`);
  return forward.open({
    connection: intoListener(addon, listener),
    listening: (text) => listening(text, null),
    waiting,
    fail,
  });
}
