/**
 * A source's way to its target: TCP and TLS of the control connection, and of index and lanes to be. It needs little of the
 * code that a session needs, so that the first one can be begun while all the rest is loaded.
 */

import { LIMITS } from "../config/limits.ts";
import type { Addon, Connection } from "../native/types.ts";
import { EarlyConnections } from "./early-connections.ts";
import { lanesAtFirst, type LaneRange } from "./lane-plan.ts";
import { openConnection } from "./open-connection.ts";
import type { SourceRun } from "./run-options.ts";

type WayRun = Pick<SourceRun, "path" | "tls" | "lanes" | "lanesMost" | "connectTimeoutMs">;

export interface WayLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export class WayIn {
  readonly connection: Promise<Connection>;
  /** Index and lanes to be. */
  readonly early: EarlyConnections;

  /** Begins to dial. `turn` as for Path.dial; `hurries`: index and lanes are dialled as well. */
  constructor(
    addon: Addon,
    run: WayRun,
    { turn, hurries }: { readonly turn: number; readonly hurries: boolean },
    limits: WayLimits,
  ) {
    const { path, tls } = run;
    this.early = new EarlyConnections({ addon, path, tls });
    const onDialled = ({ fd }: { readonly fd: number }): void => {
      if (hurries) this.early.open(earlyLanes(addon, run, fd));
    };
    const opening = { addon, path, tls, protocol: "control", turn, onDialled } as const;
    this.connection = openConnection(opening, limits);
    // It may fail before anybody waits for it.
    this.connection.catch(() => undefined);
  }

  /** It leads nowhere, or nobody goes it. */
  close(): void {
    this.early.close();
    this.connection.then((connection) => connection.close()).catch(() => undefined);
  }
}

/** The first of a run. */
export function firstWay(addon: Addon, run: WayRun, signal: AbortSignal): WayIn {
  const timeoutMs = Math.min(LIMITS.connectAttemptMs, run.connectTimeoutMs);
  return new WayIn(addon, run, { turn: 0, hurries: true }, { timeoutMs, signal });
}

/** Of a target that takes at most so many. */
export function laneRange(
  { lanes, path }: Pick<WayRun, "lanes" | "path">,
  most: number,
): LaneRange {
  const long = path.proxies.length === 0 ? LIMITS.lanesLongPath : LIMITS.lanesThroughProxy;
  return { first: Math.min(lanes, most), long, most };
}

/** By the round trip that the kernel has just seen, which ends at the first proxy. */
function earlyLanes(addon: Addon, run: WayRun, fd: number): number {
  const roundTripUs = addon.roundTripUs(fd);
  const range = laneRange(run, run.lanesMost);
  return lanesAtFirst(range, roundTripUs === null ? null : roundTripUs / 1_000);
}
