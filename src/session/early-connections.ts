/**
 * Connections for index and lanes that are dialled while the two sides still agree on the session, so that TCP and TLS are
 * done with when it begins. What they are for, and to whose session they belong, they say only then. They are a gain, never
 * a need: whatever goes wrong with one is left to the connection that is dialled in its place.
 */

import { LIMITS } from "../config/limits.ts";
import type { Addon, UnboundConnection } from "../native/types.ts";
import type { Path } from "../net/path.ts";
import type { TlsMaterial } from "./run-options.ts";
import { toTlsIdentity } from "./tls-identity.ts";

export interface EarlyOpening {
  readonly addon: Addon;
  readonly path: Path;
  readonly tls: TlsMaterial;
}

type Kind = "index" | "lane";

/** null when it did not come about. */
type Coming = Promise<UnboundConnection | null>;

export class EarlyConnections {
  readonly #opening: EarlyOpening;
  readonly #closed = new AbortController();
  readonly #coming: { readonly [kind in Kind]: Coming[] } = { index: [], lane: [] };
  #timer: NodeJS.Timeout | undefined = undefined;

  constructor(opening: EarlyOpening) {
    this.#opening = opening;
  }

  /** Begins to dial: an index, and so many lanes. */
  open(lanes: number): void {
    this.#coming.index.push(this.#open("index", 0));
    for (let lane = 0; lane < lanes; lane += 1) {
      this.#coming.lane.push(this.#open("lane", lane + 1));
    }
    // What has waited for long may be forgotten on the way: one that is dialled then is the better one.
    this.#timer = setTimeout(() => this.close(), LIMITS.earlyConnectionsMs).unref();
  }

  /** The next one, as soon as it is there; null when one has to be dialled. */
  async take(kind: Kind): Coming {
    for (;;) {
      const coming = this.#coming[kind].shift();
      if (coming === undefined) return null;
      const connection = await coming;
      if (connection?.isUsable() === true && !this.#closed.signal.aborted) return connection;
      connection?.close();
    }
  }

  /** Those that were not taken. May be called twice. */
  close(): void {
    clearTimeout(this.#timer);
    this.#closed.abort(new Error("the early connections are closed"));
    for (const coming of [...this.#coming.index.splice(0), ...this.#coming.lane.splice(0)]) {
      void coming.then((connection) => connection?.close());
    }
  }

  async #open(channel: Kind, turn: number): Coming {
    const { addon, path, tls } = this.#opening;
    const { signal } = this.#closed;
    const timeoutMs = LIMITS.connectAttemptMs;
    try {
      const stream = await path.dial(turn, { timeoutMs, signal });
      try {
        const { fd, peerName } = stream;
        const { serverName } = path;
        const identity = toTlsIdentity(tls);
        const options = { tls: identity, serverName, peerName, timeoutMs, channel };
        return await addon.connectUnbound(fd, options);
      } finally {
        stream.release();
      }
    } catch {
      return null;
    }
  }
}
