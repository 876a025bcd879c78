/** The native core's counters, by name. */

import { COUNTERS } from "../native/types.ts";

export type CounterName = (typeof COUNTERS)[number];
export type Counters = { readonly [name in CounterName]: number };

/** A reading of memory that the core goes on writing: each number is whole, together they are of about one moment. */
export function readCounters(memory: BigUint64Array): Counters {
  const at = (name: CounterName): number => Number(memory[COUNTERS.indexOf(name)] ?? 0n);
  return {
    entriesScanned: at("entriesScanned"),
    bytesScanned: at("bytesScanned"),
    allocatedScanned: at("allocatedScanned"),
    scanDone: at("scanDone"),
    entriesDone: at("entriesDone"),
    filesDone: at("filesDone"),
    bytesDone: at("bytesDone"),
    wireBytes: at("wireBytes"),
    resent: at("resent"),
    lanesAlive: at("lanesAlive"),
    lanesLost: at("lanesLost"),
    entriesRechecked: at("entriesRechecked"),
  };
}
