/** What every way of reaching a peer has in common. TLS runs inside of whatever a dialer returns. */

import type { Duplex } from "node:stream";

export interface DialRequest {
  readonly host: string;
  readonly port: number;
  /** From the name's look-up to the connection, all proxies included. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Dialer {
  /**
   * Resolves with a connected byte stream that is paused: what has come already, if anything, waits in its buffer. It has
   * a listener for errors. Rejects with a PvferryError (20 network, 21 proxy) or with the signal's reason.
   */
  dial(request: DialRequest): Promise<Duplex>;
}

/** A connected byte stream with a descriptor, not yet read from. */
export interface DialedStream {
  /** Valid until release(). Whoever keeps it takes a duplicate. */
  readonly fd: number;
  /** What messages call the other end; null: the address that the kernel knows. */
  readonly peerName: string | null;
  /** Closes this descriptor and nothing else: duplicates stay connected. May be called twice. */
  release(): void;
}
