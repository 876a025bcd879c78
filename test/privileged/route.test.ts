/** What only a router of routes does to a copy: it reloads, forgets connections that are silent, and loses its endpoints. */
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { AGENT_PORT } from "../agent/agents-apart.ts";
import { receiptOf } from "../agent/receipt.ts";
import type { Agent, Ended } from "../agent/run-pvferry.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { paceToTarget } from "../bed/network/pace.ts";
import {
  routeRouter,
  type Route,
  type RouteRouter,
  type RouteRouterOptions,
} from "../bed/network/route-router.ts";
import { ADDRESSES, ROUTE_NAME, ROUTER_NAME } from "../bed/network/two-clusters.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";

const TO = `${ADDRESSES.target.v4}:${AGENT_PORT}`;
const PASSED: Route = { host: ROUTE_NAME, to: TO };
const SILENT_MS = 2500;
/** A router may yet learn of a route. */
const SHORTLY = ["--connect-timeout", "2s"];
const judges = ["rsync", "getfattr", "getfacl"];
const programs = ["ip", "tc", "openssl", "haproxy", ...judges];

describeWith({ root: true, programs }, "a copy through a route", () => {
  const { clusters, startTarget, startSource, crossed, expectCopy } = transferApart();

  const start = async (options: Partial<RouteRouterOptions> = {}): Promise<RouteRouter> =>
    routeRouter({ namespace: clusters().router, routes: [PASSED], ...options });

  /** A copy to which something happens in the middle; its source's end. */
  const during = async (
    place: Scratch,
    happens: (source: Agent) => Promise<void>,
  ): Promise<Ended> => {
    await using target = await startTarget(place);
    using _pace = paceToTarget(clusters().router, 100);
    await using source = startSource(`route:${ROUTE_NAME}`);
    await crossed();
    await happens(source);
    const [sent] = await expectCopy(place, source, target);
    return sent;
  };

  it("does not notice a reload, because the old process lives on", async () => {
    using place = scratch();
    await using router = await start();
    const sent = await during(place, async () => {
      await router.reload();
      expect(await router.connections(ROUTE_NAME)).toBe(0);
    });
    expect(receiptOf(sent)).toMatchObject({ sessions: 1, reconnects: 0, resent: 0 });
  });

  it("goes on when the old process is ended after a reload", async () => {
    using place = scratch();
    await using router = await start();
    const sent = await during(place, async () => (await router.reload())());
    expect(sent.stderr).toContain("Trying a new session until");
    expect(receiptOf(sent).sessions).toBe(2);
  });

  it("loses nothing to a tunnel's timeout of 5 s, though lanes have nothing to do for longer", async () => {
    using place = scratch();
    await using _router = await start({ tunnelTimeout: "5s" });
    await using target = await startTarget(place);
    using _pace = paceToTarget(clusters().router, 10);
    await using source = startSource(`route:${ROUTE_NAME}`);
    const [sent] = await expectCopy(place, source, target);
    expect(receiptOf(sent)).toMatchObject({ sessions: 1, reconnects: 0 });
  });

  it("goes on after a silence that was longer than the tunnel's timeout", async () => {
    using place = scratch();
    await using router = await start({ tunnelTimeout: "5s" });
    const sent = await during(place, async (source) => {
      source.kill("SIGSTOP");
      const forgotten = async (): Promise<number> => router.connections(ROUTE_NAME);
      await expect.poll(forgotten, { timeout: 60_000 }).toBe(0);
      source.kill("SIGCONT");
    });
    expect(receiptOf(sent).sessions).toBeGreaterThan(1);
  });

  it("waits while the route has no endpoints", async () => {
    using place = scratch();
    await using router = await start();
    const sent = await during(place, async (source) => {
      await router.setEndpoints(ROUTE_NAME, "gone");
      await router.closeAll(ROUTE_NAME);
      await source.says(/Trying a new session until/);
      await sleep(SILENT_MS);
      expect(source.isRunning()).toBe(true);
      await router.setEndpoints(ROUTE_NAME, "there");
    });
    expect(receiptOf(sent).sessions).toBeGreaterThan(1);
  });

  it.each<[string, Partial<RouteRouterOptions>, RegExp]>([
    [
      "is not known",
      { routes: [] },
      /which is a router's default: it knows no route with TLS termination passthrough/,
    ],
    ["ends TLS", { routes: [{ ...PASSED, termination: "edge" }] }, /passthrough/],
    ["begins TLS anew", { routes: [{ ...PASSED, termination: "reencrypt" }] }, /passthrough/],
  ])("trusts nobody else when the route %s", async (_, options, words) => {
    using place = scratch();
    await using router = await start(options);
    await using target = await startTarget(place);
    await using source = startSource(`route:${ROUTE_NAME}`, ...SHORTLY);
    const { code, stderr } = await source.ended;
    expect(code, stderr).toBe(22);
    expect(stderr).toMatch(words);
    expect(target.isRunning()).toBe(true);
    expect(router.port).toBe(443);
  });

  it("needs the route's own name, by which the router finds it", async () => {
    await using router = await start();
    await using source = startSource(`${ROUTER_NAME}:${router.port}`, ...SHORTLY);
    const { code, stderr } = await source.ended;
    expect(code, stderr).toBe(22);
    expect(stderr).toContain(
      "a certificate for *.apps.example.test, issued by CN=ingress-operator",
    );
  });
});
