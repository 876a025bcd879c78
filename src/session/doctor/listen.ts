/** The other end of a diagnosis when there is no target yet: two people can examine a path before any volume exists. */

import type { HostPort } from "../../config/value-kinds.ts";
import type { Addon } from "../../native/types.ts";
import { openListener } from "../open-listener.ts";
import type { TlsMaterial } from "../run-options.ts";
import { stayAlive } from "../stay-alive.ts";
import { Strangers } from "../strangers.ts";
import { DoctorHost } from "./host.ts";

export interface DoctorListener {
  readonly address: HostPort;
  readonly tls: TlsMaterial;
}

export interface DoctorListenerParts {
  readonly addon: Addon;
  readonly agent: string;
  readonly notice: (message: string) => void;
  readonly onListening: (port: number) => void;
}

/** Ends only by the signal, with its reason. Throws what listen throws. */
export async function listenForDoctors(
  { address, tls }: DoctorListener,
  { addon, agent, notice, onListening }: DoctorListenerParts,
  signal: AbortSignal,
): Promise<never> {
  const host = new DoctorHost(agent, notice);
  const listener = openListener(addon, address, tls, (connection) => host.welcome(connection));
  const strangers = new Strangers(() => listener.counts(), notice);
  onListening(listener.port());
  const ended = Promise.withResolvers<never>();
  const stop = (): void => ended.reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  const letGo = stayAlive();
  try {
    return await ended.promise;
  } finally {
    letGo();
    strangers.close();
    host.close();
    listener.close();
  }
}
