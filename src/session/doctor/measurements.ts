/** What a doctor measures once the path is open: round-trip time, whether full packets pass, goodput by number of lanes. */

import { Buffer } from "node:buffer";

import { LIMITS } from "../../config/limits.ts";
import type { DoctorLine } from "./line.ts";

/** As many as are worth knowing about: one stream's limit shows in the first two, a link's in the last. */
export const LANE_COUNTS = [1, 2, 4, 8] as const;

const PINGS = 5;
/** Many full packets, and little on any way. */
const PROBE_BYTES = 64 * 1024;
/** On the way at once on one connection: what 640 Mbit/s holds in 100 ms; a connection queues no more than twice that. */
const LOADS_AT_ONCE = 8;
/** A load that is answered sooner is followed by one of twice its size: slow paths get little at once, fast ones much. */
const SOON_MS = 50;

/** The shortest of several, in ms: the others waited for something. */
export async function roundTripMs(line: DoctorLine, signal: AbortSignal): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  for (let ping = 0; ping < PINGS; ping += 1) {
    const began = performance.now();
    await line.ping(signal);
    shortest = Math.min(shortest, performance.now() - began);
  }
  return shortest;
}

/** Rejects when small messages pass and full packets do not. */
export async function probeFullPackets(line: DoctorLine, signal: AbortSignal): Promise<void> {
  await line.probe(Buffer.alloc(PROBE_BYTES), signal);
}

/** Bytes per second that have arrived, over all of `lines` together. */
export async function goodput(
  lines: readonly DoctorLine[],
  forMs: number,
  signal: AbortSignal,
): Promise<number> {
  const began = performance.now();
  const until = began + forMs;
  const sent = await Promise.all(lines.map(async (line) => keepLoading(line, until, signal)));
  const bytes = sent.reduce((sum, one) => sum + one, 0);
  return (bytes * 1_000) / (performance.now() - began);
}

async function keepLoading(line: DoctorLine, until: number, signal: AbortSignal): Promise<number> {
  // Zeros: nothing on the way compresses TLS records.
  let load = Buffer.alloc(PROBE_BYTES);
  const loads: Promise<number>[] = [];
  let bytes = 0;
  const send = async (piece: Buffer): Promise<number> => {
    const began = performance.now();
    await line.load(piece, signal);
    const isSoon = performance.now() - began < SOON_MS;
    if (isSoon && piece.length === load.length && load.length < LIMITS.doctorLoadBytes) {
      load = Buffer.alloc(load.length * 2);
    }
    return piece.length;
  };
  do {
    while (loads.length < LOADS_AT_ONCE && performance.now() < until) {
      const sending = send(load);
      // The first that fails is heard; the others fail with it.
      sending.catch(() => undefined);
      loads.push(sending);
    }
    bytes += (await loads.shift()) ?? 0;
  } while (loads.length > 0 || performance.now() < until);
  return bytes;
}
