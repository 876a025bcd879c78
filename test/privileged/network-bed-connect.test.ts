/** The bed's proxies for CONNECT on trial, with curl as their client. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { curl } from "../bed/network/curl.ts";
import {
  expectGreeting,
  greetedClusters,
  GREETER_PORT,
  GREETER_URLS,
} from "../bed/network/greeted-clusters.ts";
import { squid } from "../bed/network/squid.ts";
import { tinyproxy } from "../bed/network/tinyproxy.ts";
import { ADDRESSES, ROUTER_NAME, TARGET_NAME } from "../bed/network/two-clusters.ts";
import type { ToolAnswer } from "../judge/run-tool.ts";

const [NAMED = ""] = GREETER_URLS;
/** curl's own numbers. */
const [REFUSED, NO_TUNNEL] = [7, 56];
const programs = ["ip", "curl", "socat", "openssl", "squid", "tinyproxy"];

describeWith({ root: true, programs }, "a proxy for CONNECT", () => {
  const clusters = greetedClusters();

  const through = async (way: string, url = NAMED): Promise<ToolAnswer> =>
    curl(url, { from: clusters().source, proxy: `http://${way}`, flags: ["--verbose"] });

  const expectRefusal = ({ status, complaints }: ToolAnswer, code: number): void => {
    expect(status, complaints).toBe(NO_TUNNEL);
    expect(complaints).toContain(`CONNECT tunnel failed, response ${code}`);
  };

  it("squid serves everybody who asks for nothing forbidden", async () => {
    const allowedPorts = [GREETER_PORT, 9];
    await using proxy = await squid({ namespace: clusters().router, allowedPorts });
    for (const host of [ROUTER_NAME, `[${ADDRESSES.sourceRouter.v6}]`]) {
      for (const url of GREETER_URLS) expectGreeting(await through(`${host}:${proxy.port}`, url));
    }
    await expect.poll(proxy.tunnels).toBe(2 * GREETER_URLS.length);
    const way = `${ROUTER_NAME}:${proxy.port}`;
    expectRefusal(await through(way, `http://${TARGET_NAME}:7001/`), 403);
    expectRefusal(await through(way, `http://${TARGET_NAME}:9/`), 503);
    expectRefusal(await through(way, `http://unknown.example.test:${GREETER_PORT}/`), 500);
    expect(proxy.tunnels()).toBe(2 * GREETER_URLS.length);
  });

  it("squid wants to know who asks", async () => {
    const credentials = { user: "alice", password: "s3:c r%t" };
    await using proxy = await squid({ namespace: clusters().router, port: 3129, credentials });
    const way = `${ROUTER_NAME}:${proxy.port}`;
    expectGreeting(await through(`alice:s3%3ac%20r%25t@${way}`));
    for (const wrong of [way, `alice:wrong@${way}`, `bob:s3%3ac%20r%25t@${way}`]) {
      const answer = await through(wrong);
      expectRefusal(answer, 407);
      expect(answer.complaints).toContain('Proxy-Authenticate: Basic realm="bed"');
    }
  });

  it("tinyproxy serves everybody, in HTTP/1.0", async () => {
    const allowedPorts = [GREETER_PORT, 9];
    await using proxy = await tinyproxy({ namespace: clusters().router, allowedPorts });
    const way = `${ROUTER_NAME}:${proxy.port}`;
    for (const url of GREETER_URLS) {
      const answer = await through(way, url);
      expectGreeting(answer);
      expect(answer.complaints).toContain("HTTP/1.0 200 Connection established");
    }
    expect(proxy.tunnels()).toBe(GREETER_URLS.length);
    expectRefusal(await through(way, `http://${TARGET_NAME}:7001/`), 403);
    expectRefusal(await through(way, `http://${TARGET_NAME}:9/`), 500);
    expectRefusal(await through(way, `http://unknown.example.test:${GREETER_PORT}/`), 500);
    expect(proxy.tunnels()).toBe(GREETER_URLS.length);
  });

  it("tinyproxy says 401 to a wrong password", async () => {
    const credentials = { user: "bob", password: "pa55word" };
    await using proxy = await tinyproxy({ namespace: clusters().router, credentials });
    const way = `${ROUTER_NAME}:${proxy.port}`;
    expectGreeting(await through(`bob:pa55word@${way}`));
    expectRefusal(await through(way), 407);
    expectRefusal(await through(`bob:wrong@${way}`), 401);
  });

  it.each(Object.entries({ squid, tinyproxy }))(
    "%s is gone when it is killed, and back when it is started",
    async (_, make) => {
      await using proxy = await make({ namespace: clusters().router });
      const way = `${ROUTER_NAME}:${proxy.port}`;
      expectGreeting(await through(way));
      await proxy.kill();
      expect((await through(way)).status).toBe(REFUSED);
      await proxy.start();
      expectGreeting(await through(way));
    },
  );
});
