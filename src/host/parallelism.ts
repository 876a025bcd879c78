import { availableParallelism } from "node:os";

import { LIMITS } from "../config/limits.ts";
import { cpuQuota } from "./cgroup.ts";

export interface Parallelism {
  /** Whole CPUs that this process can keep busy: affinity and quota, whichever is less. */
  readonly cpus: number;
  readonly lanes: number;
  /** For scanning and for digests. */
  readonly threads: number;
}

/** What to use when nobody says otherwise. */
export function defaultParallelism(
  affinity = availableParallelism(),
  quota = cpuQuota(),
): Parallelism {
  const cpus = Math.max(1, Math.min(affinity, Math.ceil(quota ?? affinity)));
  return {
    cpus,
    // Two even on one CPU: while one waits for the volume the other keeps the network busy, and
    // a lane that dies does not stop the transfer.
    lanes: Math.min(LIMITS.lanesDefaultMost, Math.max(2, cpus)),
    threads: Math.min(LIMITS.scanThreadsMost, Math.max(2, cpus)),
  };
}
