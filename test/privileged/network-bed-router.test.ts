/** The bed's router of routes on trial, with curl and openssl as its clients. */
import { spawn } from "node:child_process";
import { once } from "node:events";

import { afterAll, beforeAll, expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { issueServer, makeAuthority, type Authority } from "../bed/network/certificates.ts";
import { curl } from "../bed/network/curl.ts";
import { expectGreeting } from "../bed/network/greeted-clusters.ts";
import { greeter } from "../bed/network/greeter.ts";
import type { Program } from "../bed/network/program.ts";
import { routeRouter, type Route, type RouteRouter } from "../bed/network/route-router.ts";
import {
  ADDRESSES,
  ROUTE_NAME,
  ROUTER_NAME,
  twoClusters,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import { upgradeWall } from "../bed/network/upgrade-wall.ts";
import { scratch } from "../bed/scratch.ts";
import type { ToolAnswer } from "../judge/run-tool.ts";

const [PLAIN, TLS, NOWHERE] = [7000, 7443, 9];
const to = (port: number): string => `${ADDRESSES.target.v4}:${port}`;
const PASSED: Route = { host: ROUTE_NAME, to: to(TLS) };
/** curl's own numbers. */
const [TLS_BROKEN, UNTRUSTED] = [35, 60];
const programs = ["ip", "curl", "socat", "openssl", "haproxy"];

describeWith({ root: true, programs }, "a router of routes", () => {
  const place = scratch();
  let clusters: TwoClusters;
  let servers: readonly Program[] = [];
  let authority: Authority;

  beforeAll(async () => {
    clusters = twoClusters();
    authority = makeAuthority(place.path, "target-ca");
    const certificate = issueServer(place.path, authority, ROUTE_NAME);
    const { target: namespace } = clusters;
    servers = [
      await greeter({ namespace, port: PLAIN }),
      await greeter({ namespace, port: TLS, certificate }),
    ];
  });

  afterAll(async () => {
    for (const server of servers) await server[Symbol.asyncDispose]();
    clusters[Symbol.dispose]();
    place[Symbol.dispose]();
  });

  const ask = async (host: string, ca = authority.certificate): Promise<ToolAnswer> => {
    const flags = ["--cacert", ca, "--connect-to", `${host}:443:${ROUTER_NAME}:443`];
    return curl(`https://${host}/`, { from: clusters.source, flags: [...flags, "--verbose"] });
  };

  /** A connection through the router on which nothing is said. */
  const silentClient = (): {
    readonly ended: Promise<unknown>;
    readonly hasEnded: () => boolean;
  } => {
    const line = ["openssl", "s_client", "-quiet", "-connect", `${ROUTE_NAME}:443`];
    const name = ["-servername", ROUTE_NAME];
    const [command = "", ...args] = [...clusters.source.wrapper, ...line, ...name];
    const child = spawn(command, args, { stdio: ["pipe", "ignore", "ignore"] });
    return { ended: once(child, "exit"), hasEnded: () => child.exitCode !== null };
  };

  const sessions = async (router: RouteRouter): Promise<number> => router.connections(ROUTE_NAME);

  it("passes TLS on by the name that is asked for", async () => {
    await using router = await routeRouter({ namespace: clusters.router, routes: [PASSED] });
    expectGreeting(await ask(ROUTE_NAME));
    const unknown = await ask("other.example.test");
    expect(unknown.status, unknown.complaints).toBe(UNTRUSTED);
    const byDefault = await ask("other.apps.example.test", router.authority);
    expect(byDefault.output).toContain("Application is not available");
    expect(byDefault.complaints).toContain("subject: CN=*.apps.example.test");
  });

  it("ends TLS itself where the route says so", async () => {
    const [edge, both] = ["edge.apps.example.test", "both.apps.example.test"];
    const routes: readonly Route[] = [
      { host: edge, to: to(PLAIN), termination: "edge" },
      { host: both, to: to(TLS), termination: "reencrypt" },
    ];
    await using router = await routeRouter({ namespace: clusters.router, routes });
    for (const host of [edge, both]) {
      expect((await ask(host)).status).toBe(UNTRUSTED);
      expectGreeting(await ask(host, router.authority));
    }
  });

  it("connects and says nothing when a route has no endpoints, or its pod does not listen", async () => {
    const dead = "dead.apps.example.test";
    const routes = [PASSED, { host: dead, to: to(NOWHERE) }];
    await using router = await routeRouter({ namespace: clusters.router, routes });
    await router.setEndpoints(ROUTE_NAME, "gone");
    for (const host of [ROUTE_NAME, dead]) {
      const { status, complaints } = await ask(host);
      expect(status, complaints).toBe(TLS_BROKEN);
      expect(complaints).toContain(") port 443 (#0)");
    }
    await router.setEndpoints(ROUTE_NAME, "there");
    expectGreeting(await ask(ROUTE_NAME));
  });

  it("closes what is silent for longer than the tunnel's timeout", async () => {
    const { router: namespace } = clusters;
    await using router = await routeRouter({ namespace, routes: [PASSED], tunnelTimeout: "1s" });
    const client = silentClient();
    const started = performance.now();
    await client.ended;
    expect(performance.now() - started).toBeGreaterThan(900);
    expect(await sessions(router)).toBe(0);
  });

  it("closes everything when told so, and is gone when it is killed", async () => {
    await using router = await routeRouter({ namespace: clusters.router, routes: [PASSED] });
    const [one, other] = [silentClient(), silentClient()];
    await expect.poll(async () => sessions(router)).toBe(2);
    await router.closeAll(ROUTE_NAME);
    await Promise.all([one.ended, other.ended]);
    const third = silentClient();
    await expect.poll(async () => sessions(router)).toBe(1);
    await router.kill();
    await third.ended;
    await router.start();
    expectGreeting(await ask(ROUTE_NAME));
  });

  it("reloads: a new process takes over, and the old one keeps its connections until it is ended", async () => {
    await using router = await routeRouter({ namespace: clusters.router, routes: [PASSED] });
    const client = silentClient();
    await expect.poll(async () => sessions(router)).toBe(1);
    const endOld = await router.reload();
    await expect.poll(async () => sessions(router)).toBe(0);
    expectGreeting(await ask(ROUTE_NAME));
    expect(client.hasEnded()).toBe(false);
    endOld();
    await client.ended;
    expectGreeting(await ask(ROUTE_NAME));
  });

  it("may be a wall that passes upgrades only", async () => {
    const wall = { namespace: clusters.router, port: 8080, to: to(PLAIN) };
    await using _up = await upgradeWall(wall);
    const visit = async (...flags: readonly string[]): Promise<ToolAnswer> =>
      curl(`http://${ROUTER_NAME}:8080/`, { from: clusters.source, flags: ["-i", ...flags] });
    expect((await visit()).output).toMatch(/^HTTP\/1.1 426 [^]*Upgrade Required$/);
    const headers = [
      "Connection: Upgrade",
      "Upgrade: websocket",
      `Sec-WebSocket-Key: ${"x".repeat(22)}==`,
    ];
    const upgraded = await visit(...headers.flatMap((header) => ["-H", header]));
    expect(upgraded.output).toMatch(/^HTTP\/1.0 200 [^]*from /);
  });
});
