/** Where proxies may be named: flags, files, pvferry's own variables, and the usual ones when they are asked for. */
import { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki, startTarget, type ListeningTarget } from "../agent/agent-pair.ts";
import { pvferry, type Ended } from "../agent/run-pvferry.ts";
import { oddProxy, type OddProxy } from "../bed/network/odd-proxy.ts";
import { scratch } from "../bed/scratch.ts";

const place = scratch();
const pki = place.at("pki");
const SECRET = "s3cr3t:x";
/** The user whom the proxy sees, in the form in which it sees them. */
const KNOWN = `Basic ${Buffer.from(`alice:${SECRET}`).toString("base64")}`;
/** Whatever this machine itself goes through. */
const NONE = Object.fromEntries(
  ["https_proxy", "all_proxy", "no_proxy"].flatMap((name) => [
    [name, ""],
    [name.toUpperCase(), ""],
  ]),
);
let target: ListeningTarget;
let proxy: OddProxy;

beforeAll(async () => {
  await initPki(pki);
  target = await startTarget({ volume: place.directory("target"), pki, flags: ["--read-only"] });
  await target.agent.says(/^Listening on /m);
  proxy = await oddProxy({
    answer: (request) =>
      request.includes(KNOWN)
        ? { says: ["HTTP/1.1 200 OK\r\n\r\n"], next: "tunnel" }
        : { says: ["HTTP/1.1 407 No\r\n\r\n"], next: "close" },
  });
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await target.agent[Symbol.asyncDispose]();
  place[Symbol.dispose]();
});

async function examine(
  flags: readonly string[],
  environment: { readonly [name: string]: string } = {},
): Promise<Ended & { readonly asked: number }> {
  const before = proxy.requests().length;
  const to = ["--to", `127.0.0.1:${target.port}`, "--tls", `${pki}/source`, "--measure", "0s"];
  const ended = await pvferry(["doctor", ...to, ...flags, "-vv"], {
    environment: { ...NONE, ...environment },
  });
  return { ...ended, asked: proxy.requests().length - before };
}

const url = (): string => `http://alice:${SECRET}@127.0.0.1:${proxy.port}`;

describe("a proxy", () => {
  it("is named by a flag, with a warning about its password", async () => {
    const { code, stderr, asked } = await examine(["--via", url()]);
    expect(code, stderr).toBe(0);
    expect(asked).toBeGreaterThan(0);
    expect(stderr).toContain(
      `The password for http://127.0.0.1:${proxy.port} stands in the command line`,
    );
  });

  it("is named by pvferry's variable, and by a file with comments, without a warning", async () => {
    const file = place.at("proxies");
    writeFileSync(file, `# ours\n\n  ${url()}/\n`);
    const variable = await examine([], { PVFERRY_VIA: url() });
    const named = await examine(["--via-file", file]);
    for (const { code, stderr, asked } of [variable, named]) {
      expect(code, stderr).toBe(0);
      expect(asked).toBeGreaterThan(0);
      expect(stderr).not.toContain("stands in the command line");
    }
  });

  it("of the usual variables is used only when that is asked for", async () => {
    const usual = { HTTPS_PROXY: url() };
    expect((await examine([], usual)).asked).toBe(0);
    expect((await examine(["--via", "env"], usual)).asked).toBeGreaterThan(0);
    const without = await examine(["--via", "env"], { ...usual, NO_PROXY: "127.0.0.1" });
    expect(without).toMatchObject({ code: 0, asked: 0 });
    expect(await examine(["--via", "env"])).toMatchObject({ code: 0, asked: 0 });
  });

  it("without a scheme is spoken to in the clear, as curl does", async () => {
    const usual = { HTTPS_PROXY: url().replace("http://", "") };
    const { code, stderr, asked } = await examine(["--via", "env"], usual);
    expect(code, stderr).toBe(0);
    expect(asked).toBeGreaterThan(0);
  });

  it("that is none is refused wherever it stands, and its line is not repeated", async () => {
    const file = place.at("broken");
    writeFileSync(file, `${url().replace("http", "htp")}\n`);
    for (const [flags, environment] of [
      [["--via", url().replace("http", "htp")], {}],
      [["--via-file", file], {}],
      [[], { PVFERRY_VIA: url().replace("http", "htp") }],
      [["--via", "env"], { HTTPS_PROXY: url().replace("http", "htp") }],
    ] as const) {
      const { code, stderr, asked } = await examine(flags, environment);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(/URL of a proxy|is not the URL/);
      expect(asked).toBe(0);
    }
  });

  it("that refuses ends the attempt, whatever -vv prints of it", async () => {
    const { code, stderr } = await examine(["--via", url().replace(SECRET, `${SECRET}!`)]);
    expect(code).toBe(21);
    expect(stderr).toContain("does not accept user alice");
  });
});
