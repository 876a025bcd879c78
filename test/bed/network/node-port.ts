/** A Service of type NodePort as kube-proxy makes it: any of two nodes, both of them the router, hands on to the target. */
import { run } from "../bed-folder.ts";
import type { NetworkNamespace } from "../network-namespace.ts";
import { chain, nftTable } from "./nft.ts";
import { ADDRESSES, TO_SOURCE } from "./two-clusters.ts";

export interface NodePortOptions {
  /** One that forwards. From the source it forwards nothing else then. */
  readonly router: NetworkNamespace;
  /** On every node. */
  readonly port: number;
  readonly targetPort: number;
}

export interface NodePort extends Disposable {
  /** A node is lost without a word, with all connections that go through it; until it is disposed. */
  readonly lose: (node: Node) => Disposable;
}

export interface Node {
  readonly v4: string;
  readonly v6: string;
}

export const NODES: readonly [Node, Node] = [
  ADDRESSES.sourceRouter,
  { v4: "10.91.1.3", v6: "fd91:1::3" },
];

function secondNode({ name }: NetworkNamespace, what: "add" | "delete"): void {
  const [, { v4, v6 }] = NODES;
  const nodad = what === "add" ? ["nodad"] : [];
  run("ip", "-n", name, "address", what, `${v4}/24`, "dev", TO_SOURCE);
  run("ip", "-n", name, "address", what, `${v6}/64`, "dev", TO_SOURCE, ...nodad);
}

function lose(router: NetworkNamespace, { v4, v6 }: Node): Disposable {
  const lost = [`ct original ip daddr ${v4} drop`, `ct original ip6 daddr ${v6} drop`];
  const first = { type: "filter", priority: -5, rules: lost } as const;
  return nftTable(router, [
    chain({ ...first, hook: "input" }),
    chain({ ...first, hook: "forward" }),
    chain({ ...first, hook: "output" }),
  ]);
}

export function nodePort({ router, port, targetPort }: NodePortOptions): NodePort {
  secondNode(router, "add");
  const { v4, v6 } = ADDRESSES.target;
  const local = `fib daddr type local tcp dport ${port}`;
  const toTarget = [
    `${local} dnat ip to ${v4}:${targetPort}`,
    `${local} dnat ip6 to [${v6}]:${targetPort}`,
  ];
  const others = `iifname "${TO_SOURCE}" ct state new ct status & dnat == 0 drop`;
  const table = nftTable(router, [
    chain({ type: "nat", hook: "prerouting", priority: -100, rules: toTarget }),
    chain({
      type: "nat",
      hook: "postrouting",
      priority: 100,
      rules: ["ct status dnat masquerade"],
    }),
    chain({ type: "filter", hook: "forward", priority: 0, rules: [others] }),
  ]);
  return {
    lose: (node) => lose(router, node),
    [Symbol.dispose]: () => {
      table[Symbol.dispose]();
      secondNode(router, "delete");
    },
  };
}
