/** The bed's NodePort and ClusterIP on trial, with curl as their client. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { CLUSTER_IP, clusterIp } from "../bed/network/cluster-ip.ts";
import { curl } from "../bed/network/curl.ts";
import {
  expectGreeting,
  greetedClusters,
  GREETER_PORT,
  GREETER_URLS,
  greetingFor,
} from "../bed/network/greeted-clusters.ts";
import { nodePort, NODES } from "../bed/network/node-port.ts";

const PORT = 30_443;
/** curl's own numbers. */
const [REFUSED, TIMED_OUT] = [7, 28];
/** For what never comes. */
const SOON = ["--max-time", "0.3"];
const programs = ["ip", "nft", "curl", "socat"];

function urlsOf({ v4, v6 }: { readonly v4: string; readonly v6: string }): readonly string[] {
  return [`http://${v4}:${PORT}/`, `http://[${v6}]:${PORT}/`];
}

describeWith({ root: true, programs }, "a Service's port on every node", () => {
  const clusters = greetedClusters({ forwards: true });

  it("leads to the target from any of them, and nothing else does", async () => {
    const { source: from, router } = clusters();
    const [, direct = ""] = GREETER_URLS;
    {
      using service = nodePort({ router, port: PORT, targetPort: GREETER_PORT });
      for (const url of NODES.flatMap(urlsOf)) expectGreeting(await curl(url, { from }));
      expect((await curl(direct, { from, flags: SOON })).status).toBe(TIMED_OUT);
      expect(service).toBeDefined();
    }
    expect((await curl(urlsOf(NODES[0])[0] ?? "", { from })).status).toBe(REFUSED);
    expect((await curl(direct, { from })).output).toMatch(greetingFor("source"));
  });

  it("is lost with a node, on that node", async () => {
    const { source: from, router } = clusters();
    using service = nodePort({ router, port: PORT, targetPort: GREETER_PORT });
    const [first, second] = NODES;
    {
      using _ = service.lose(second);
      for (const url of urlsOf(first)) expectGreeting(await curl(url, { from }));
      for (const url of urlsOf(second)) {
        expect((await curl(url, { from, flags: SOON })).status).toBe(TIMED_OUT);
      }
    }
    for (const url of urlsOf(second)) expectGreeting(await curl(url, { from }));
  });
});

describeWith({ root: true, programs }, "a Service's own address", () => {
  const clusters = greetedClusters({ forwards: true });

  it("leads to the target from within the cluster", async () => {
    const { source: from } = clusters();
    using service = clusterIp({ node: from, port: PORT, targetPort: GREETER_PORT });
    for (const url of urlsOf(CLUSTER_IP)) {
      expect((await curl(url, { from })).output).toMatch(greetingFor("source"));
    }
    expect(service).toBeDefined();
  });

  it("is nowhere outside of it", async () => {
    const { source: from } = clusters();
    for (const url of urlsOf(CLUSTER_IP)) expect((await curl(url, { from })).status).toBe(REFUSED);
  });
});
