/** Every kind of endpoint that --to can name, through the real thing: all of them pass the same tests. */
import { describe, expect, it } from "vitest";

import { AGENT_PORT } from "../agent/agents-apart.ts";
import { receiptOf } from "../agent/receipt.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { CLUSTER_IP, clusterIp } from "../bed/network/cluster-ip.ts";
import { fault, RESET } from "../bed/network/fault.ts";
import { nodePort, NODES } from "../bed/network/node-port.ts";
import { paceToTarget } from "../bed/network/pace.ts";
import { routeRouter, type Route } from "../bed/network/route-router.ts";
import {
  ADDRESSES,
  ROUTE_NAME,
  TARGET_NAME,
  TO_SOURCE,
  TO_TARGET,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import { scratch } from "../bed/scratch.ts";

const NODE_PORT = 30_443;
const judges = ["rsync", "getfattr", "getfacl"];
const programs = ["ip", "nft", "tc", "openssl", "haproxy", ...judges];

type Family = "v4" | "v6";

interface Endpoint extends AsyncDisposable {
  readonly to: string;
  /** What is said while no target listens behind it. */
  readonly absent: RegExp;
}

const ROUTES: readonly Route[] = [
  { host: ROUTE_NAME, to: `${ADDRESSES.target.v4}:${AGENT_PORT}` },
  { host: `v6.${ROUTE_NAME}`, to: `[${ADDRESSES.target.v6}]:${AGENT_PORT}` },
];

function host(address: { readonly [family in Family]: string }, family: Family): string {
  return family === "v6" ? `[${address.v6}]` : address.v4;
}

const REFUSED = /connection refused/;

function endpoint(to: string, absent: RegExp, what?: Disposable | AsyncDisposable): Endpoint {
  const stack = new AsyncDisposableStack();
  stack.use(what);
  return { to, absent, [Symbol.asyncDispose]: async () => stack.disposeAsync() };
}

/** Each by one family of addresses only. */
const ENDPOINTS: {
  readonly [kind: string]: (clusters: TwoClusters, family: Family) => Endpoint | Promise<Endpoint>;
} = {
  route: async ({ source, router }, family) => {
    const { v4, v6 } = ADDRESSES.sourceRouter;
    const name = family === "v6" ? `v6.${ROUTE_NAME}` : ROUTE_NAME;
    source.knows({ [name]: [family === "v6" ? v6 : v4] });
    const routed = await routeRouter({ namespace: router, routes: ROUTES });
    return endpoint(`route:${name}`, /the router answers, but has no endpoint/, routed);
  },
  nodeport: ({ router }, family) => {
    const [one, other] = NODES.map((node) => host(node, family));
    const service = nodePort({ router, port: NODE_PORT, targetPort: AGENT_PORT });
    return endpoint(`nodeport:${one},${other}:${NODE_PORT}`, REFUSED, service);
  },
  clusterip: ({ source: node }, family) => {
    const service = clusterIp({ node, port: 443, targetPort: AGENT_PORT });
    return endpoint(`clusterip:${host(CLUSTER_IP, family)}:443`, REFUSED, service);
  },
  tcp: ({ source }, family) => {
    source.knows({ [TARGET_NAME]: [ADDRESSES.target[family]] });
    return endpoint(`tcp:${TARGET_NAME}:${AGENT_PORT}`, REFUSED);
  },
};

describeWith({ root: true, programs }, "an endpoint", () => {
  const { clusters, startTarget, startSource, crossed, expectCopy } = transferApart({
    forwards: true,
  });

  describe.each(Object.entries(ENDPOINTS))("%s", (_, make) => {
    it.each(["v4", "v6"] as const)("carries a copy by IP%s alone", async (family) => {
      using place = scratch();
      await using way = await make(clusters(), family);
      await using target = await startTarget(place);
      await using source = startSource(way.to);
      const [sent] = await expectCopy(place, source, target);
      expect(receiptOf(sent)).toMatchObject({ sessions: 1, reconnects: 0 });
    });

    it("waits for a target that is not there yet, and says why", async () => {
      using place = scratch();
      await using way = await make(clusters(), "v4");
      await using source = startSource(way.to);
      await source.says(/^Waiting for the target at /m);
      expect(source.stderr()).toMatch(way.absent);
      await using target = await startTarget(place);
      await expectCopy(place, source, target);
    });

    it("goes on when all connections are reset in the middle", async () => {
      using place = scratch();
      await using way = await make(clusters(), "v4");
      await using target = await startTarget(place);
      using _pace = paceToTarget(clusters().router, 100);
      await using source = startSource(way.to);
      await crossed();
      {
        const { router } = clusters();
        using _here = fault({ router, link: TO_SOURCE, rule: RESET });
        using _there = fault({ router, link: TO_TARGET, rule: RESET });
        await source.says(/Trying a new session until/);
      }
      const [sent] = await expectCopy(place, source, target);
      expect(receiptOf(sent).sessions).toBeGreaterThan(1);
    });
  });
});
