/** Two clusters for all tests of a suite, with somebody in the target who tells where a connection came from. */
import { afterAll, beforeAll, expect } from "vitest";

import type { ToolAnswer } from "../../judge/run-tool.ts";
import { greeter } from "./greeter.ts";
import type { Program } from "./program.ts";
import {
  ADDRESSES,
  TARGET_NAME,
  twoClusters,
  type ClustersOptions,
  type TwoClusters,
} from "./two-clusters.ts";

export const GREETER_PORT = 7000;

/** The ways to name the target: those that can be resolved on the router only, and those that need not be. */
export const GREETER_URLS = [TARGET_NAME, ADDRESSES.target.v4, `[${ADDRESSES.target.v6}]`].map(
  (host) => `http://${host}:${GREETER_PORT}/`,
);

/** To be called in a suite, outside of any test; what it returns, in one. */
export function greetedClusters(options: ClustersOptions = {}): () => TwoClusters {
  let clusters: TwoClusters | undefined;
  let greets: Program | undefined;

  beforeAll(async () => {
    clusters = twoClusters(options);
    greets = await greeter({ namespace: clusters.target, port: GREETER_PORT });
  });

  afterAll(async () => {
    await greets?.[Symbol.asyncDispose]();
    clusters?.[Symbol.dispose]();
  });

  return () => {
    if (clusters === undefined) throw new Error("the clusters are not up");
    return clusters;
  };
}

/** What the greeter says to those who come from this address of the clusters. */
export function greetingFor(place: keyof typeof ADDRESSES): RegExp {
  const [, , third = "", last = ""] = ADDRESSES[place].v4.split(".");
  const hex = [third, last].map((part) => Number(part).toString(16).padStart(2, "0")).join("");
  return new RegExp(`from \\[(?:fd91:000${third}:.*:000${last}|.*:ffff:0a5b:${hex})\\]$`);
}

export function expectGreeting({ status, output, complaints }: ToolAnswer): void {
  expect(status, complaints).toBe(0);
  expect(output).toMatch(greetingFor("targetRouter"));
}
