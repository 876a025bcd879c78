/** What goes wrong on one of the router's links until it is disposed, with what is forwarded and what the router's own programs say and hear. */
import type { NetworkNamespace } from "../network-namespace.ts";
import { chain, nftTable, type Table } from "./nft.ts";
import type { TO_SOURCE, TO_TARGET } from "./two-clusters.ts";

export interface FaultOptions {
  readonly router: NetworkNamespace;
  readonly link: typeof TO_SOURCE | typeof TO_TARGET;
  /** What happens to a packet, in the words of nft; or one of those below. */
  readonly rule: string;
  /** Which packets: those that come from the cluster, those that go there, or both. A refusal is told to who sent one. */
  readonly packets?: "from" | "to" | "both";
}

/** Nothing passes, and nobody is told. */
export const DROPPED = "counter drop";
export const RESET = "meta l4proto tcp counter reject with tcp reset";
export const UNREACHABLE = "counter reject with icmpx type host-unreachable";
export const PROHIBITED = "counter reject with icmpx type admin-prohibited";

/** Handshakes pass and bulk does not, where what should say so is dropped as well. */
export function longerThan(bytes: number): string {
  return `meta length > ${bytes} counter drop`;
}

/** The refusal itself goes out as well, and is the kernel's. */
const BY_PROGRAMS = "meta skuid >= 0";
const PRIORITY = { type: "filter", priority: -5 } as const;

/** Counts the packets that it has met. */
export function fault({ router, link, rule, packets = "both" }: FaultOptions): Table {
  const from = packets === "to" ? [] : [`iifname "${link}" ${rule}`];
  const to = packets === "from" ? [] : [`oifname "${link}" ${rule}`];
  const sent = rule.includes("reject") ? to.map((line) => `${BY_PROGRAMS} ${line}`) : to;
  return nftTable(router, [
    chain({ ...PRIORITY, hook: "input", rules: from }),
    chain({ ...PRIORITY, hook: "forward", rules: [...from, ...to] }),
    chain({ ...PRIORITY, hook: "output", rules: sent }),
  ]);
}

/** No fault: counts what passes. */
export function passing(where: Omit<FaultOptions, "rule">): Table {
  return fault({ ...where, rule: "counter" });
}
