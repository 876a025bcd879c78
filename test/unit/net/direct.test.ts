import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import { hostPortText } from "../../../src/config/value-kinds.ts";
import { dialError } from "../../../src/net/dial-error.ts";
import type { DialRequest } from "../../../src/net/dialer.ts";
import { directDialer } from "../../../src/net/direct.ts";

const { signal } = new AbortController();
const request: DialRequest = { host: "127.0.0.1", port: 1, timeoutMs: 2_000, signal };

describe("dialling directly", () => {
  it("says that nothing listens", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    await expect(directDialer.dial({ ...request, port })).rejects.toMatchObject({
      code: 20,
      message: `Nothing listens at 127.0.0.1:${port} (connection refused).`,
    });
  });

  it("says that a name does not resolve", async () => {
    await expect(
      directDialer.dial({ ...request, host: "no-such-host.invalid" }),
    ).rejects.toMatchObject({
      code: 20,
      message: expect.stringMatching(
        /^The name no-such-host\.invalid (does not resolve|could not)/,
      ) as unknown,
    });
  });

  it("obeys its signal, before and while it dials", async () => {
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(directDialer.dial({ ...request, signal: stopped })).rejects.toThrow("stopped");
    const stop = new AbortController();
    // Documentation addresses (RFC 5737) answer nobody.
    const dialling = directDialer.dial({ ...request, host: "192.0.2.1", signal: stop.signal });
    stop.abort(new Error("stopped"));
    await expect(dialling).rejects.toThrow("stopped");
  });

  it("gives up after its time", async () => {
    const started = performance.now();
    await expect(
      directDialer.dial({ ...request, host: "192.0.2.1", timeoutMs: 200 }),
    ).rejects.toMatchObject({ code: 20 });
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  it("gives a paused socket that nothing has been read from", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const accepted = once(server, "connection");
    const { port } = server.address() as AddressInfo;
    const stream = await directDialer.dial({ ...request, port });
    const [socket] = (await accepted) as [Socket];
    socket.write("early");
    await sleep(50);
    expect(stream.isPaused()).toBe(true);
    expect(stream.readableLength).toBe(0);
    const [early] = (await once(stream.resume(), "data")) as [Buffer];
    expect(early.toString()).toBe("early");
    stream.destroy();
    await once(socket, "close");
    server.close();
  });
});

describe("reasons", () => {
  it.each([
    ["EHOSTUNREACH", /host unreachable/],
    ["ENETUNREACH", /network unreachable/],
    ["ECONNRESET", /was reset/],
    ["ETIMEDOUT", /^No answer from 127\.0\.0\.1:1 within 2 s\.$/],
    ["EWEIRD", /^No connection to 127\.0\.0\.1:1 \(EWEIRD\)\.$/],
  ])("%s", (code, sentence) => {
    const error = Object.assign(new Error("x"), { code });
    expect(dialError(error, request)).toMatchObject({
      code: 20,
      message: expect.stringMatching(sentence) as unknown,
    });
  });

  it("of several addresses are the last one's", () => {
    const each = ["EHOSTUNREACH", "ECONNREFUSED"].map((code) =>
      Object.assign(new Error("x"), { code }),
    );
    expect(dialError(new AggregateError(each), request).message).toMatch(/connection refused/);
  });

  it("write IPv6 addresses in brackets", () => {
    expect(hostPortText({ host: "::1", port: 6443 })).toBe("[::1]:6443");
    expect(hostPortText({ host: "a.example", port: 6443 })).toBe("a.example:6443");
  });
});
