/** A table of nft in a network namespace, until it is disposed. */
import { execFileSync } from "node:child_process";

import type { NetworkNamespace } from "../network-namespace.ts";

export interface Table extends Disposable {
  /** What all of its counters have counted. */
  readonly packets: () => number;
  readonly bytes: () => number;
}

let count = 0;

export function nftTable({ path }: NetworkNamespace, chains: readonly string[]): Table {
  count++;
  const name = `bed${count}`;
  const nft = (input: string, ...args: readonly string[]): string =>
    execFileSync("nsenter", [`--net=${path}`, "nft", ...args], {
      input,
      stdio: ["pipe", "pipe", "pipe"],
      encoding: "utf8",
    });
  nft(`table inet ${name} {\n${chains.join("\n")}\n}\n`, "-f", "-");
  const counted = (what: "packets" | "bytes"): number => {
    const words = nft("", "list", "table", "inet", name).matchAll(
      new RegExp(`counter .*\\b${what} (\\d+)`, "g"),
    );
    return [...words].reduce((sum, [, number]) => sum + Number(number), 0);
  };
  return {
    packets: () => counted("packets"),
    bytes: () => counted("bytes"),
    [Symbol.dispose]: () => void nft("", "delete", "table", "inet", name),
  };
}

export interface ChainOptions {
  readonly type: "filter" | "nat";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  readonly priority: number;
  readonly rules: readonly string[];
}

/** Some words that would suit a chain are reserved: it is called by its hook, in the plural. */
export function chain({ type, hook, priority, rules }: ChainOptions): string {
  const head = `type ${type} hook ${hook} priority ${priority}`;
  return `chain ${type}_${hook}s {\n${[head, ...rules].join("\n")}\n}`;
}
