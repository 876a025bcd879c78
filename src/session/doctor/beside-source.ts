/**
 * Doctors of the target's side, who dial a source that listens. They speak first, which no target does: so they are told
 * apart from targets, and are answered at any time, before a session and beside one.
 */

import type { Addon } from "../../native/types.ts";
import type { IncomingPath } from "../../net/incoming-path.ts";
import { intoListener } from "../into-listener.ts";
import { openListener } from "../open-listener.ts";
import type { TlsMaterial } from "../run-options.ts";
import { Strangers } from "../strangers.ts";
import { DoctorHost } from "./host.ts";

export interface BesideSource {
  readonly addon: Addon;
  readonly agent: string;
  readonly path: IncomingPath;
  readonly tls: TlsMaterial;
  readonly notice: (message: string) => void;
}

/** Until it is disposed. */
export function welcomeDoctors({ addon, agent, path, tls, notice }: BesideSource): Disposable {
  const host = new DoctorHost(agent, notice);
  const listener = openListener(addon, { host: "", port: null }, tls, (connection) => {
    if (connection.protocol() === "doctor") host.welcome(connection);
    else connection.close();
  });
  const strangers = new Strangers(() => listener.counts(), notice);
  path.onSpeaker(intoListener(addon, listener));
  return {
    [Symbol.dispose]: () => {
      strangers.close();
      host.close();
      listener.close();
    },
  };
}
