/** The bed's SOCKS5 proxies on trial, with curl as their client. */
import { describe, expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { curl } from "../bed/network/curl.ts";
import { dante } from "../bed/network/dante.ts";
import { expectGreeting, greetedClusters, GREETER_URLS } from "../bed/network/greeted-clusters.ts";
import { microsocks } from "../bed/network/microsocks.ts";
import { ADDRESSES, ROUTER_NAME, TARGET_NAME } from "../bed/network/two-clusters.ts";
import type { ToolAnswer } from "../judge/run-tool.ts";

const [NAMED = ""] = GREETER_URLS;
const CREDENTIALS = { user: "alice", password: "s3:c r%t@" };
const KNOWN = "alice:s3%3ac%20r%25t%40@";
/** curl's own numbers. */
const [REFUSED, NO_TUNNEL] = [7, 97];
const programs = ["ip", "curl", "socat", "openssl", "danted", "microsocks"];

describeWith({ root: true, programs }, "a SOCKS5 proxy", () => {
  const clusters = greetedClusters();

  const through = async (way: string, url = NAMED): Promise<ToolAnswer> =>
    curl(url, { from: clusters().source, proxy: `socks5h://${way}` });

  describe.each(Object.entries({ dante, microsocks }))("%s", (_, make) => {
    it("serves everybody", async () => {
      await using proxy = await make({ namespace: clusters().router });
      for (const host of [ROUTER_NAME, `[${ADDRESSES.sourceRouter.v6}]`]) {
        for (const url of GREETER_URLS) expectGreeting(await through(`${host}:${proxy.port}`, url));
      }
      await expect.poll(proxy.tunnels).toBe(2 * GREETER_URLS.length);
      for (const nowhere of [`${TARGET_NAME}:9`, "unknown.example.test:7000"]) {
        const answer = await through(`${ROUTER_NAME}:${proxy.port}`, `http://${nowhere}/`);
        expect(answer.status, answer.complaints).toBe(NO_TUNNEL);
      }
    });

    it("wants to know who asks", async () => {
      await using proxy = await make({
        namespace: clusters().router,
        port: 1082,
        credentials: CREDENTIALS,
      });
      const way = `${ROUTER_NAME}:${proxy.port}`;
      expectGreeting(await through(KNOWN + way));
      for (const wrong of ["", "alice:wrong@", "root:@"]) {
        const answer = await through(wrong + way);
        expect(answer.status, answer.complaints).toBe(NO_TUNNEL);
      }
    });

    it("is gone when it is killed, and back when it is started", async () => {
      await using proxy = await make({ namespace: clusters().router });
      const way = `${ROUTER_NAME}:${proxy.port}`;
      expectGreeting(await through(way));
      await proxy.kill();
      expect((await through(way)).status).toBe(REFUSED);
      await proxy.start();
      expectGreeting(await through(way));
    });
  });
});
