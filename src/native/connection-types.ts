/** Trust and connections: a part of the boundary, see types.ts. */

export interface TlsIdentity {
  /** PEM texts. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  /** The URI SAN that the peer's leaf must carry, e.g. pvferry://<transfer id>/target. */
  readonly peerUri: string;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 lets the kernel choose; null listens nowhere: there are only connections that this side has dialled. */
  readonly port: number | null;
  readonly tls: TlsIdentity;
  /** From accept to the end of the handshake, and again to the BIND frame. */
  readonly handshakeTimeoutMs: number;
  /** Connections that have not yet proven who they are; one more replaces the oldest of them. */
  readonly maxUnauthenticated: number;
  /** Index and lanes that have, and have not said for which session they are; likewise. */
  readonly maxUnbound: number;
}

export interface ListenerCounts {
  readonly accepted: number;
  readonly authenticated: number;
  /** Closed before or during the handshake: scans, HTTP, garbage, silence. */
  readonly handshakesFailed: number;
  /** Proper TLS, wrong transfer or role. */
  readonly refused: number;
  /** Closed because too many were waiting. */
  readonly displaced: number;
}

export interface ConnectOptions {
  readonly tls: TlsIdentity;
  /** SNI; null sends none (an IP address). Never used for trust. */
  readonly serverName: string | null;
  /** What messages call the listener; null: the address that the kernel knows. */
  readonly peerName: string | null;
  readonly timeoutMs: number;
  readonly protocol: ConnectionProtocol;
}

/** What a connection that JavaScript speaks is for: a session, or finding out about the way. */
export type ConnectionProtocol = "control" | "doctor";

/** What index and lanes are made of. */
export interface UnboundOptions extends Omit<ConnectOptions, "protocol"> {
  readonly channel: "index" | "lane";
}

/** After TLS and trust, and before there is a session that it belongs to. */
export interface UnboundConnection {
  /** False when it has ended, or a session has it. */
  isUsable(): boolean;
  /** Says close_notify, and closes in the background. May be called twice, and does nothing to what a session has. */
  close(): void;
}

/** A connection of either protocol: a byte stream after TLS and trust. */
export interface Connection {
  /** "address:port" of the peer as the kernel gives it, or its peerName. */
  peerAddress(): string;
  protocol(): ConnectionProtocol;
  /** The least so far, as the kernel has it; null for a bridged connection. */
  roundTripUs(): number | null;
  /** onData gets chunks; then null once at a clean end, or an error text (JSON NativeErrorText) once. Call exactly once. */
  start(onData: (chunk: Uint8Array | null, error: string | null) => void): void;
  /** Resolves when the bytes are with the kernel. Rejects with "network" when that takes longer than timeoutMs. */
  send(bytes: Uint8Array, timeoutMs: number): Promise<void>;
  /** Sends close_notify, drains for at most a second in the background, closes. May be called twice. */
  close(): void;
}

export interface Listener {
  /** 0 when it listens nowhere. */
  port(): number;
  counts(): ListenerCounts;
  /**
   * Takes a duplicate of a descriptor that this side has dialled, and waits until its other end speaks; from then on it is
   * like one that was accepted. Resolves with false when it ends before, or the listener is closed.
   */
  admit(fd: number, peerName: string | null): Promise<boolean>;
  close(): void;
}

/** What the kernel says of the lanes together, also of those that are gone. A bridged connection adds nothing. */
export interface PathReading {
  /** Smoothed, the mean of the lanes that are there; 0 when there is none. */
  readonly roundTripUs: number;
  /** The least that any of them has seen lately. */
  readonly leastRoundTripUs: number;
  readonly acknowledgedBytes: number;
  /** What was sent again counts in both. */
  readonly sentSegments: number;
  readonly repeatedSegments: number;
}
