/** A Service's own address, which is nowhere but in the rules of those nodes that belong to the cluster. */
import type { NetworkNamespace } from "../network-namespace.ts";
import { chain, nftTable } from "./nft.ts";
import { ADDRESSES } from "./two-clusters.ts";

export const CLUSTER_IP = { v4: "172.30.0.9", v6: "fd72::9" } as const;

export interface ClusterIpOptions {
  /** Where it is known: the others have no way to it. */
  readonly node: NetworkNamespace;
  readonly port: number;
  readonly targetPort: number;
}

export function clusterIp({ node, port, targetPort }: ClusterIpOptions): Disposable {
  const { v4, v6 } = ADDRESSES.target;
  return nftTable(node, [
    chain({
      type: "nat",
      hook: "output",
      priority: -100,
      rules: [
        `ip daddr ${CLUSTER_IP.v4} tcp dport ${port} dnat ip to ${v4}:${targetPort}`,
        `ip6 daddr ${CLUSTER_IP.v6} tcp dport ${port} dnat ip6 to [${v6}]:${targetPort}`,
      ],
    }),
  ]);
}
