/** The proxy of odd answers on trial, with curl as its client. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createServer as createTcpServer, type AddressInfo } from "node:net";

import { afterAll, beforeAll, expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { curl } from "../bed/network/curl.ts";
import { ACCEPTING, REFUSING } from "../bed/network/odd-answers.ts";
import { oddProxy } from "../bed/network/odd-proxy.ts";
import { listenAnywhere } from "../bed/ports.ts";
import type { ToolAnswer } from "../judge/run-tool.ts";

const FAR = "http://far.example.test:1/";
const ASKED = /^CONNECT far\.example\.test:1 HTTP\/1\.1\r\n/;
/** curl's own numbers. */
const [TIMED_OUT, NO_TUNNEL] = [28, 56];
/** After these curl would wait without end. */
const SILENCES: readonly string[] = ["no HTTP", "nothing"];

describeWith({ programs: ["curl"] }, "a proxy that gives odd answers", () => {
  let arrived = 0;
  let far: Server;

  beforeAll(async () => {
    far = createServer((_, response) => {
      arrived++;
      response.end("arrived");
    });
    await listenAnywhere(far);
  });

  afterAll(async () => {
    far.close();
    await once(far, "close");
  });

  const farPort = (): number => (far.address() as AddressInfo).port;

  const through = async (port: number, ...flags: readonly string[]): Promise<ToolAnswer> =>
    curl(FAR, { proxy: `http://127.0.0.1:${port}`, flags });

  const { "bytes right behind it": together, ...separate } = ACCEPTING;

  it.each(Object.entries(separate))("makes a tunnel: %s", async (_, answer) => {
    await using proxy = await oddProxy({ answer, tunnelTo: farPort() });
    const { status, output, complaints } = await through(proxy.port);
    expect(status, complaints).toBe(0);
    expect(output).toBe("arrived");
    expect(proxy.requests()).toEqual([expect.stringMatching(ASKED)]);
    await expect.poll(proxy.open).toBe(0);
  });

  it("makes a tunnel to what was asked for, and sends its first bytes with the answer", async () => {
    const greets = createTcpServer((client) => client.end("it speaks first\n"));
    const port = await listenAnywhere(greets);
    await using proxy = await oddProxy({ answer: together });
    const way = { proxy: `http://127.0.0.1:${proxy.port}` };
    const { output, complaints } = await curl(`telnet://127.0.0.1:${port}`, way);
    expect(output, complaints).toBe("it speaks first\n");
    greets.close();
  });

  it.each(Object.entries(REFUSING))("makes none: %s", async (what, answer) => {
    const earlier = arrived;
    await using proxy = await oddProxy({ answer, tunnelTo: farPort() });
    const isSilent = SILENCES.includes(what);
    const { status, complaints } = await through(proxy.port, "--max-time", isSilent ? "1" : "20");
    expect(status, complaints).toBe(isSilent ? TIMED_OUT : NO_TUNNEL);
    const code = /^\d{3}/.exec(what)?.[0];
    if (code !== undefined) expect(complaints).toContain(`tunnel failed, response ${code}`);
    expect(proxy.requests()).toHaveLength(1);
    expect(arrived).toBe(earlier);
  });

  it("may answer the first request otherwise than the next", async () => {
    const first = REFUSING["407 for Basic"];
    await using proxy = await oddProxy({
      answer: (request) =>
        request.includes("Proxy-Authorization: Basic YTpi") ? ACCEPTING["no reason"] : first,
      tunnelTo: farPort(),
    });
    expect((await through(proxy.port)).status).toBe(NO_TUNNEL);
    expect((await through(proxy.port, "--proxy-user", "a:b")).output).toBe("arrived");
  });

  it("breaks the tunnels it has made", async () => {
    let reached = 0;
    const silent = createTcpServer(() => reached++);
    const tunnelTo = await listenAnywhere(silent);
    await using proxy = await oddProxy({ answer: ACCEPTING["HTTP/1.0"], tunnelTo });
    const asking = through(proxy.port);
    await expect.poll(() => reached).toBe(1);
    proxy.breakAll();
    expect((await asking).status).toBe(NO_TUNNEL);
    silent.close();
  });
});
