/**
 * A TCP relay that breaks connections. It can tell pvferry's kinds of connection apart, because the ALPN of a TLS 1.3
 * ClientHello is in the clear.
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

import { randomBytes, type RandomBytes } from "../volume/random-bytes.ts";
import { listenAnywhere } from "./ports.ts";

export type ConnectionKind = "control" | "index" | "lane" | "other";

export interface RelayOptions {
  readonly targetPort: number;
  /** How often something is broken; 0 breaks nothing. */
  readonly everyMs: number;
  /** What may be broken. */
  readonly breaks: readonly ConnectionKind[];
  /** Bytes a second, all connections together, towards the target; unlimited when left out. */
  readonly bytesPerSecond?: number;
  /** How many of the first connections of a kind are broken in the middle of their handshake. */
  readonly breaksFirst?: { readonly kind: ConnectionKind; readonly connections: number };
  readonly seed?: string;
}

export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** How many connections of a kind there were, and how many were broken on purpose. */
  readonly counts: () => { readonly [kind in ConnectionKind]: number } & {
    readonly broken: number;
  };
  /** How many connections of a kind have said to which session they belong; a source opens them before it has one. */
  readonly bound: (kind: "index" | "lane") => number;
  /** Bytes that came from the source, all connections together. */
  readonly bytes: () => number;
  /** Breaks everything of a kind now; without one, everything. */
  readonly breakAll: (kind?: ConnectionKind) => void;
  /** From now on, what the target says on the connections of a kind that are there now does not arrive. */
  readonly keepBack: (kind: ConnectionKind) => void;
  /** The connections of a kind that are there now, by the ports that the two sides' own sockets have. */
  readonly ports: (kind: ConnectionKind) => readonly PortPair[];
}

/** Where a connection through the relay begins, and where it arrives. */
export interface PortPair {
  /** The source's own port; its peer is the relay's. */
  readonly source: number;
  /** The relay's port; its peer is the target's. */
  readonly relay: number;
}

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  kind: ConnectionKind;
}

/** All of a handshake, and a little more. */
const HELLO_BYTES = 16_384;

/** The header of the TLS record that is BIND: 44 bytes, their type, and what authenticates them. Nothing else is as long. */
const BIND_RECORD = Buffer.from([0x17, 0x03, 0x03, 0, 44 + 1 + 16]);

function kindOf(hello: Buffer): ConnectionKind {
  if (hello.includes("pvferry-lane/1")) return "lane";
  if (hello.includes("pvferry-index/1")) return "index";
  return hello.includes("pvferry-control/1") ? "control" : "other";
}

/** A reset as from a dying node, or a clean end as from a proxy that restarts. */
function breakPair(pair: Pair, random: RandomBytes): void {
  for (const socket of [pair.near, pair.far]) {
    if (random.below(3) > 0) socket.resetAndDestroy();
    else socket.end();
  }
}

class Pace {
  /** So far. */
  bytes = 0;
  private nextAt = performance.now();
  private readonly bytesPerSecond: number;

  constructor(bytesPerSecond: number | undefined) {
    this.bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY;
  }

  /** Milliseconds to wait after so many bytes. */
  after(bytes: number): number {
    const now = performance.now();
    this.bytes += bytes;
    this.nextAt = Math.max(this.nextAt, now) + (1000 * bytes) / this.bytesPerSecond;
    return this.nextAt - now;
  }
}

function portsOf({ near, far }: Pair): PortPair {
  return { source: near.remotePort ?? 0, relay: far.localPort ?? 0 };
}

interface Watcher {
  readonly onKind: (kind: ConnectionKind) => void;
  readonly onBound: (kind: ConnectionKind) => void;
}

function join(pair: Pair, pace: Pace, { onKind, onBound }: Watcher): void {
  let hello = Buffer.alloc(0);
  let isBound = false;
  pair.near.on("data", (chunk: Buffer) => {
    if (!isBound && hello.length < HELLO_BYTES) {
      hello = Buffer.concat([hello, chunk]);
      const wasKnown = pair.kind !== "other";
      pair.kind = kindOf(hello);
      if (pair.kind !== "other" && !wasKnown) onKind(pair.kind);
      isBound = hello.includes(BIND_RECORD);
      if (isBound) onBound(pair.kind);
      if (pair.near.destroyed || pair.far.writableEnded || pair.far.destroyed) return;
    }
    const wait = pace.after(chunk.length);
    const flows = pair.far.write(chunk);
    if (flows && wait < 5) return;
    pair.near.pause();
    if (!flows) pair.far.once("drain", () => pair.near.resume());
    else setTimeout(() => pair.near.resume(), wait);
  });
  pair.far.pipe(pair.near, { end: false });
  for (const [one, other] of [
    [pair.near, pair.far],
    [pair.far, pair.near],
  ] as const) {
    one.on("end", () => other.end());
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
}

/** Listens on 127.0.0.1 and hands every connection on to the target's port. */
export async function breakingRelay(options: RelayOptions): Promise<Relay> {
  const random = randomBytes(options.seed ?? "relay");
  const pace = new Pace(options.bytesPerSecond);
  const pairs = new Set<Pair>();
  const seen = { control: 0, index: 0, lane: 0, other: 0 };
  const bound = { ...seen };
  let broken = 0;
  const first = options.breaksFirst;
  const server = createServer((near) => {
    const far = connect(options.targetPort, "127.0.0.1");
    const pair: Pair = { near, far, kind: "other" };
    pairs.add(pair);
    near.on("close", () => pairs.delete(pair));
    join(pair, pace, {
      onKind: (kind) => {
        seen[kind] += 1;
        if (kind === first?.kind && seen[kind] <= first.connections) breakSome([pair]);
      },
      onBound: (kind) => {
        bound[kind] += 1;
      },
    });
  });
  const breakSome = (chosen: readonly Pair[]): void => {
    for (const pair of chosen) {
      breakPair(pair, random);
      pairs.delete(pair);
      broken++;
    }
  };
  const port = await listenAnywhere(server);
  const timer = setInterval(
    () => {
      const breakable = [...pairs].filter((pair) => options.breaks.includes(pair.kind));
      const pair = breakable[random.below(breakable.length)];
      if (pair !== undefined) breakSome([pair]);
    },
    options.everyMs === 0 ? 2 ** 30 : options.everyMs,
  );
  return {
    port,
    counts: () => ({ ...seen, broken }),
    ports: (kind) => [...pairs].filter((pair) => pair.kind === kind).map(portsOf),
    keepBack: (kind) => {
      for (const { near, far, kind: itsKind } of pairs) {
        if (itsKind === kind) far.unpipe(near).pause();
      }
    },
    bound: (kind) => bound[kind],
    bytes: () => pace.bytes,
    breakAll: (kind) =>
      breakSome([...pairs].filter((pair) => kind === undefined || pair.kind === kind)),
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      for (const { near, far } of pairs) [near, far].forEach((socket) => socket.destroy());
      server.close();
      await once(server, "close");
    },
  };
}
