/**
 * The states of a session, for each side, and where each may go: data only, executed by state-machine.ts. The same
 * tables stand in docs/design.md, "States"; a test compares them.
 */

import type { TransferPhase } from "../core/events.ts";
import type { ControlStage } from "../wire/control-messages.ts";

export interface StateRow<Name extends string> {
  /** What watchers are told; null changes nothing for them. */
  readonly phase: TransferPhase | null;
  /** What the control channel may carry; null where there is none. */
  readonly stage: ControlStage | null;
  readonly next: readonly Name[];
}

export type StateTable<Name extends string> = { readonly [State in Name]: StateRow<Name> };

export type SourceState =
  | "connecting"
  | "greeting"
  | "preflight"
  | "starting"
  | "copying"
  | "closing"
  | "settled"
  | "awaiting"
  | "returning"
  | "recovering"
  | "concluding"
  | "finished"
  | "failed";

export const SOURCE_STATES: StateTable<SourceState> = {
  connecting: { phase: "connect", stage: null, next: ["greeting", "failed"] },
  greeting: { phase: "hello", stage: "hello", next: ["preflight", "connecting", "failed"] },
  preflight: { phase: "preflight", stage: "preflight", next: ["starting", "recovering", "failed"] },
  starting: { phase: null, stage: "start", next: ["copying", "recovering", "failed"] },
  copying: { phase: "copy", stage: "copy", next: ["closing", "settled", "recovering", "failed"] },
  closing: { phase: "close", stage: "copy", next: ["settled", "recovering", "failed"] },
  settled: { phase: "settle", stage: "settle", next: ["awaiting", "recovering", "failed"] },
  awaiting: { phase: "durable", stage: "settle", next: ["returning", "concluding", "failed"] },
  returning: { phase: null, stage: "hello", next: ["awaiting", "recovering", "failed"] },
  recovering: { phase: "connect", stage: null, next: ["connecting", "failed"] },
  concluding: { phase: "verdict", stage: "verdict", next: ["finished", "failed"] },
  finished: { phase: null, stage: null, next: [] },
  failed: { phase: null, stage: null, next: [] },
};

export type TargetState =
  | "listening"
  | "preflight"
  | "starting"
  | "copying"
  | "settled"
  | "durable"
  | "keeping"
  | "concluding"
  | "recovering"
  | "finished"
  | "failed";

export const TARGET_STATES: StateTable<TargetState> = {
  listening: { phase: "connect", stage: "hello", next: ["preflight", "concluding", "failed"] },
  preflight: { phase: "preflight", stage: "preflight", next: ["starting", "listening", "failed"] },
  starting: { phase: null, stage: "start", next: ["copying", "listening", "failed"] },
  copying: { phase: "copy", stage: "copy", next: ["settled", "recovering", "failed"] },
  settled: { phase: "settle", stage: "settle", next: ["durable", "recovering", "failed"] },
  durable: { phase: "durable", stage: "settle", next: ["keeping", "failed"] },
  keeping: { phase: "verdict", stage: "verdict", next: ["concluding", "recovering", "failed"] },
  concluding: { phase: null, stage: "verdict", next: ["finished", "failed"] },
  recovering: { phase: "connect", stage: null, next: ["listening", "failed"] },
  finished: { phase: null, stage: null, next: [] },
  failed: { phase: null, stage: null, next: [] },
};
