/** What every way of reaching a peer has in common. TLS runs inside of whatever a dialer returns. */

export interface DialRequest {
  readonly host: string;
  readonly port: number;
  /** From the name's look-up to the connection. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A connected byte stream with a descriptor, not yet read from. */
export interface DialedStream {
  /** Valid until release(). Whoever keeps it takes a duplicate. */
  readonly fd: number;
  /** Closes this descriptor and nothing else: duplicates stay connected. May be called twice. */
  release(): void;
}

export interface Dialer {
  /** Rejects with a PvferryError (20 network, 21 proxy) or with the signal's reason. */
  dial(request: DialRequest): Promise<DialedStream>;
}

/** "host:port", with an IPv6 address in brackets. */
export function addressText(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
