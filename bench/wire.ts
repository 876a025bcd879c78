/**
 * Networks that nobody else uses, so that what crosses them can be counted: by the kernel's counters of their interface,
 * packets with their headers, both directions together.
 */
import { execFileSync } from "node:child_process";

import { networkNamespace, type NetworkNamespace } from "../test/bed/network-namespace.ts";

export interface Wire extends Disposable {
  /** What comes before a command that is to run at the source's end, and at the target's. */
  readonly source: readonly string[];
  readonly target: readonly string[];
  /** Bytes so far. */
  readonly bytes: () => number;
}

interface LinkCounters {
  readonly stats64: {
    readonly rx: { readonly bytes: number };
    readonly tx: { readonly bytes: number };
  };
}

/** The target's address on a wire between two ends. */
export const TARGET_ADDRESS = "192.0.2.2";
const SOURCE_ADDRESS = "192.0.2.1";

function ip(namespace: NetworkNamespace, ...args: readonly string[]): string {
  return execFileSync("ip", ["-n", namespace.name, ...args], { encoding: "utf8" });
}

export function counters(namespace: NetworkNamespace, device: string): LinkCounters["stats64"] {
  const told = ip(namespace, "-s", "-j", "link", "show", "dev", device);
  const [link] = JSON.parse(told) as LinkCounters[];
  if (link === undefined) throw new Error(`the kernel has no counters for ${device}`);
  return link.stats64;
}

export function enter(namespace: NetworkNamespace): readonly string[] {
  return ["nsenter", `--net=${namespace.path}`];
}

/** One end for both: the loopback interface, on which each packet is received once. */
export function loopbackWire(): Wire {
  const namespace = networkNamespace();
  return {
    source: enter(namespace),
    target: enter(namespace),
    bytes: () => counters(namespace, "lo").rx.bytes,
    [Symbol.dispose]: () => namespace[Symbol.dispose](),
  };
}

/** Two ends, for somebody whose processes also talk in the clear at either end, which is not to be counted. */
export function pairWire(): Wire {
  const [source, target] = [networkNamespace(), networkNamespace()];
  const peer = ["type", "veth", "peer", "name", "wire", "netns", target.name];
  ip(source, "link", "add", "wire", ...peer);
  for (const [end, address] of [
    [source, SOURCE_ADDRESS],
    [target, TARGET_ADDRESS],
  ] as const) {
    ip(end, "address", "add", `${address}/30`, "dev", "wire");
    ip(end, "link", "set", "wire", "up");
  }
  return {
    source: enter(source),
    target: enter(target),
    bytes: () => {
      const { rx, tx } = counters(source, "wire");
      return rx.bytes + tx.bytes;
    },
    [Symbol.dispose]: () => {
      source[Symbol.dispose]();
      target[Symbol.dispose]();
    },
  };
}
