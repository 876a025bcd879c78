/** The bed's proxies for CONNECT on trial, with curl as their client. */
import { afterAll, beforeAll, expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { curl } from "../bed/network/curl.ts";
import { greeter } from "../bed/network/greeter.ts";
import type { Program } from "../bed/network/program.ts";
import { squid } from "../bed/network/squid.ts";
import { tinyproxy } from "../bed/network/tinyproxy.ts";
import {
  ADDRESSES,
  ROUTER_NAME,
  TARGET_NAME,
  twoClusters,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import type { ToolAnswer } from "../judge/run-tool.ts";

const PORT = 7000;
const URLS = [TARGET_NAME, ADDRESSES.target.v4, `[${ADDRESSES.target.v6}]`].map(
  (host) => `http://${host}:${PORT}/`,
);
const [NAMED = ""] = URLS;
const FROM_ROUTER = /^from \[(?:fd91:0002:.*:0001|.*:ffff:0a5b:0201)\]$/;
/** curl's own numbers. */
const [REFUSED, NO_TUNNEL] = [7, 56];
const programs = ["ip", "curl", "socat", "openssl", "squid", "tinyproxy"];

describeWith({ root: true, programs }, "a proxy for CONNECT", () => {
  let clusters: TwoClusters;
  let greets: Program;

  beforeAll(async () => {
    clusters = twoClusters();
    greets = await greeter(clusters.target, PORT);
  });

  afterAll(async () => {
    await greets[Symbol.asyncDispose]();
    clusters[Symbol.dispose]();
  });

  const through = async (way: string, url = NAMED): Promise<ToolAnswer> =>
    curl(url, { from: clusters.source, proxy: `http://${way}`, flags: ["--verbose"] });

  const expectArrival = ({ status, output, complaints }: ToolAnswer): void => {
    expect(status, complaints).toBe(0);
    expect(output).toMatch(FROM_ROUTER);
  };

  const expectRefusal = ({ status, complaints }: ToolAnswer, code: number): void => {
    expect(status, complaints).toBe(NO_TUNNEL);
    expect(complaints).toContain(`CONNECT tunnel failed, response ${code}`);
  };

  it("squid serves everybody who asks for nothing forbidden", async () => {
    const allowedPorts = [PORT, 9];
    await using proxy = await squid({ namespace: clusters.router, allowedPorts });
    for (const host of [ROUTER_NAME, `[${ADDRESSES.sourceRouter.v6}]`]) {
      for (const url of URLS) expectArrival(await through(`${host}:${proxy.port}`, url));
    }
    await expect.poll(proxy.tunnels).toBe(2 * URLS.length);
    const way = `${ROUTER_NAME}:${proxy.port}`;
    expectRefusal(await through(way, `http://${TARGET_NAME}:7001/`), 403);
    expectRefusal(await through(way, `http://${TARGET_NAME}:9/`), 503);
    expectRefusal(await through(way, `http://unknown.example.test:${PORT}/`), 500);
    expect(proxy.tunnels()).toBe(2 * URLS.length);
  });

  it("squid wants to know who asks", async () => {
    const credentials = { user: "alice", password: "s3:c r%t" };
    await using proxy = await squid({ namespace: clusters.router, port: 3129, credentials });
    const way = `${ROUTER_NAME}:${proxy.port}`;
    expectArrival(await through(`alice:s3%3ac%20r%25t@${way}`));
    for (const wrong of [way, `alice:wrong@${way}`, `bob:s3%3ac%20r%25t@${way}`]) {
      const answer = await through(wrong);
      expectRefusal(answer, 407);
      expect(answer.complaints).toContain('Proxy-Authenticate: Basic realm="bed"');
    }
  });

  it("tinyproxy serves everybody, in HTTP/1.0", async () => {
    const allowedPorts = [PORT, 9];
    await using proxy = await tinyproxy({ namespace: clusters.router, allowedPorts });
    const way = `${ROUTER_NAME}:${proxy.port}`;
    for (const url of URLS) {
      const answer = await through(way, url);
      expectArrival(answer);
      expect(answer.complaints).toContain("HTTP/1.0 200 Connection established");
    }
    expect(proxy.tunnels()).toBe(URLS.length);
    expectRefusal(await through(way, `http://${TARGET_NAME}:7001/`), 403);
    expectRefusal(await through(way, `http://${TARGET_NAME}:9/`), 500);
    expectRefusal(await through(way, `http://unknown.example.test:${PORT}/`), 500);
    expect(proxy.tunnels()).toBe(URLS.length);
  });

  it("tinyproxy says 401 to a wrong password", async () => {
    const credentials = { user: "bob", password: "pa55word" };
    await using proxy = await tinyproxy({ namespace: clusters.router, credentials });
    const way = `${ROUTER_NAME}:${proxy.port}`;
    expectArrival(await through(`bob:pa55word@${way}`));
    expectRefusal(await through(way), 407);
    expectRefusal(await through(`bob:wrong@${way}`), 401);
  });

  it.each(Object.entries({ squid, tinyproxy }))(
    "%s is gone when it is killed, and back when it is started",
    async (_, make) => {
      await using proxy = await make({ namespace: clusters.router });
      const way = `${ROUTER_NAME}:${proxy.port}`;
      expectArrival(await through(way));
      await proxy.kill();
      expect((await through(way)).status).toBe(REFUSED);
      await proxy.start();
      expectArrival(await through(way));
    },
  );
});
