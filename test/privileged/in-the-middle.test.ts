/** Men in the middle: who is seen, who gets nowhere, and who is not seen because he has both keys. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { AGENT_PORT } from "../agent/agents-apart.ts";
import { examineFrom, expectSameWords, type Examined } from "../agent/examine.ts";
import type { Agent } from "../agent/run-pvferry.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { issueServer, makeAuthority } from "../bed/network/certificates.ts";
import { interceptingHaproxy } from "../bed/network/intercepting-haproxy.ts";
import { mitmproxy, MITMPROXY_CA } from "../bed/network/mitmproxy.ts";
import { ADDRESSES, ROUTER_NAME, TARGET_NAME } from "../bed/network/two-clusters.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";

const PORT = 8081;
const PROXY = `http://${ROUTER_NAME}:${PORT}`;
const CREDENTIALS = { user: "eve", password: "p@s s%rd" };
const INTERCEPTOR_CA = "interceptor-ca";
const judges = ["rsync", "getfattr", "getfacl"];
const programs = ["ip", "nft", "openssl", "haproxy", "mitmdump", ...judges];

function as(password: string): string {
  const userinfo = `${CREDENTIALS.user}:${encodeURIComponent(password)}`;
  return `http://${userinfo}@${ROUTER_NAME}:${PORT}`;
}

describeWith({ root: true, programs }, "a man in the middle", () => {
  const { clusters, pki, startTarget, startSource, expectCopy } = transferApart({ forwards: true });

  const examine = async (...way: readonly string[]): Promise<Examined> =>
    examineFrom(clusters().source, pki, ...way);

  describe.each([
    ["that asks nobody", null],
    ["that asks who it is", CREDENTIALS],
  ])("mitmproxy %s", (_, credentials) => {
    const via = credentials === null ? PROXY : as(credentials.password);
    const options = { port: PORT, ...(credentials && { credentials }) };

    it.each([
      ["a name", TARGET_NAME],
      ["an IPv4 address", ADDRESSES.target.v4],
      ["an IPv6 address", `[${ADDRESSES.target.v6}]`],
    ])("is named when it inspects what goes to %s", async (__, host) => {
      using place = scratch();
      await using _inspects = await mitmproxy({ namespace: clusters().router, ...options });
      await using target = await startTarget(place);
      const to = `${host}:${AGENT_PORT}`;
      const diagnosis = await examine("--to", to, "--via", via);
      expect([diagnosis.exit, diagnosis.code], diagnosis.message).toEqual([22, 22]);
      expect(diagnosis.message).toContain(`issued by CN=${MITMPROXY_CA}, `);
      expect(diagnosis.message).toContain(`(a man in the middle), most likely ${PROXY}`);
      expect(diagnosis.next).toContain("--ignore-hosts");
      await using source = startSource(to, "--via", via);
      await expectSameWords(source, diagnosis);
      expect(target.isRunning()).toBe(true);
    });

    it("is none for a target that it ignores", async () => {
      using place = scratch();
      const { router: namespace } = clusters();
      await using _spares = await mitmproxy({ namespace, spared: [TARGET_NAME], ...options });
      await using target = await startTarget(place);
      const to = `${TARGET_NAME}:${AGENT_PORT}`;
      expect(await examine("--to", to, "--via", via)).toMatchObject({ exit: 0, code: 0 });
      await using source = startSource(to, "--via", via);
      await expectCopy(place, source, target);
    });
  });

  it.each([
    ["nothing", PROXY, "wants a user and a password (407)"],
    ["a wrong password", as("no"), "does not accept user eve with that password (407)"],
  ])("that asks who it is lets nobody through who says %s", async (_, via, words) => {
    const options = { port: PORT, credentials: CREDENTIALS };
    await using _asks = await mitmproxy({ namespace: clusters().router, ...options });
    const way = ["--to", `${TARGET_NAME}:${AGENT_PORT}`, "--via", via];
    const diagnosis = await examine(...way);
    expect([diagnosis.exit, diagnosis.code]).toEqual([21, 21]);
    expect(diagnosis.message).toContain(`The proxy ${PROXY} ${words}`);
  });

  describe("whom nobody has asked for", () => {
    const { v4 } = ADDRESSES.target;
    const to = `${v4}:${AGENT_PORT}`;

    const intercept = async (shows: string, presents?: string): Promise<AsyncDisposable> => {
      const options = { router: clusters().router, port: AGENT_PORT, shows };
      return interceptingHaproxy({ ...options, ...(presents !== undefined && { presents }) });
    };

    /** A side's certificate and key, as haproxy takes them. */
    const stolen = (place: Scratch, side: "source" | "target"): string => {
      const file = place.at(`${side}.pem`);
      const texts = ["tls.crt", "tls.key"].map((name) => readFileSync(join(pki, side, name)));
      writeFileSync(file, Buffer.concat(texts));
      return file;
    };

    const startImpatient = (): Agent => startSource(to, "--connect-timeout", "1s");

    it("is named by his certificate", async () => {
      using place = scratch();
      const authority = makeAuthority(place.path, INTERCEPTOR_CA);
      const { v4: four, v6: six } = ADDRESSES.target;
      await using _there = await intercept(issueServer(place.path, authority, "x", [four, six]));
      await using target = await startTarget(place);
      const diagnosis = await examine("--to", to);
      expect([diagnosis.exit, diagnosis.code], diagnosis.message).toEqual([22, 22]);
      expect(diagnosis.message).toContain(`issued by CN=${INTERCEPTOR_CA}: `);
      expect(diagnosis.message).toMatch(/\(a man in the middle\)\.$/);
      await using source = startImpatient();
      await expectSameWords(source, diagnosis);
      expect(target.isRunning()).toBe(true);
    });

    it("gets no further with the target's key alone, which both sides say", async () => {
      using place = scratch();
      await using _there = await intercept(stolen(place, "target"));
      await using target = await startTarget(place);
      const diagnosis = await examine("--to", to);
      expect([diagnosis.exit, diagnosis.code]).toEqual([20, 20]);
      expect(diagnosis.next).toContain("somebody in between has a copy of its key");
      await using source = startImpatient();
      const { code, stderr } = await source.ended;
      expect(code, stderr).toBe(20);
      expect(stderr).toContain("TLS was agreed on with the target at");
      expect(stderr).toContain(diagnosis.next);
      await target.says(/^Turned away \d+ connections?: .*without a TLS handshake/m);
      expect(target.isRunning()).toBe(true);
    });

    it("is not seen when he has both keys, as the documents say", async () => {
      using place = scratch();
      await using _there = await intercept(stolen(place, "target"), stolen(place, "source"));
      await using target = await startTarget(place);
      expect(await examine("--to", to)).toMatchObject({ exit: 0, code: 0 });
      await using source = startSource(to);
      await expectCopy(place, source, target);
    });
  });
});
