/** What goes wrong on one of the router's links until it is disposed, with what is forwarded and what the router's own programs say and hear. */
import { execFileSync } from "node:child_process";

import type { NetworkNamespace } from "../network-namespace.ts";
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

export interface Fault extends Disposable {
  /** How many packets it has met. */
  readonly packets: () => number;
}

let count = 0;

/** The refusal itself goes out as well, and is the kernel's. */
const BY_PROGRAMS = "meta skuid >= 0";

function chain(hook: "input" | "forward" | "output", rules: readonly string[]): string {
  return `chain ${hook}s {\ntype filter hook ${hook} priority -5\n${rules.join("\n")}\n}`;
}

function ruleset(table: string, { link, rule, packets = "both" }: FaultOptions): string {
  const from = packets === "to" ? [] : [`iifname "${link}" ${rule}`];
  const to = packets === "from" ? [] : [`oifname "${link}" ${rule}`];
  const sent = rule.includes("reject") ? to.map((line) => `${BY_PROGRAMS} ${line}`) : to;
  const chains = [chain("input", from), chain("forward", [...from, ...to]), chain("output", sent)];
  return `table inet ${table} {\n${chains.join("\n")}\n}\n`;
}

export function fault(options: FaultOptions): Fault {
  count++;
  const table = `fault${count}`;
  const nft = (input: string, ...args: readonly string[]): string =>
    execFileSync("nsenter", [`--net=${options.router.path}`, "nft", ...args], {
      input,
      stdio: ["pipe", "pipe", "pipe"],
      encoding: "utf8",
    });
  nft(ruleset(table, options), "-f", "-");
  return {
    packets: () => {
      const counters = nft("", "list", "table", "inet", table).matchAll(/counter packets (\d+)/g);
      return [...counters].reduce((sum, [, packets]) => sum + Number(packets), 0);
    },
    [Symbol.dispose]: () => void nft("", "delete", "table", "inet", table),
  };
}
