/** Proxies answer CONNECT in many ways: a tunnel is taken as one, and every refusal is told in words that help. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { pvferry, startPvferry, type Agent, type Ended } from "../agent/run-pvferry.ts";
import { ACCEPTING, REFUSING, type OddAnswer } from "../bed/network/odd-answers.ts";
import { oddProxy } from "../bed/network/odd-proxy.ts";
import { freePort } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";

const FAR = "far.example.test:6443";
const NOT_HTTP = "does not answer as an HTTP proxy does";
const UPGRADES_ONLY = "passes only HTTP connections that ask for an upgrade, to SPDY or WebSocket";
const CLOSED = `closed the connection when it was asked for ${FAR}`;

/** Behind "The proxy http://127.0.0.1:PORT ". */
const SAID: { readonly [what in keyof typeof REFUSING]: string } = {
  "407 for Basic": "wants a user and a password (407)",
  "407 for others":
    "offers only Negotiate, NTLM authentication (407), which pvferry does not support",
  "407 for others and Basic": "wants a user and a password (407)",
  "407 that offers nothing": "wants a user and a password (407)",
  "401 for Basic": "wants a user and a password (401)",
  "403": `does not allow connections to ${FAR} (403 Forbidden: "ERROR: Cache Access Denied")`,
  "405": "does not know CONNECT (405 Not Allowed)",
  "426": `${UPGRADES_ONLY} (426 Upgrade Required)`,
  "400 that is a 426": `${UPGRADES_ONLY} (400 Bad Request: "{ "kind": "Status", "message": "Upgrade request required", "code": 400 }")`,
  "500": `could not connect to ${FAR} (500 Unable to connect)`,
  "501": "does not know CONNECT (501 Not Implemented)",
  "503 with HTML": `could not connect to ${FAR} (503 Service Unavailable: "ERROR: Cache Access Denied")`,
  "503 with HTML a moment later": `could not connect to ${FAR} (503 Service Unavailable: "ERROR: Cache Access Denied")`,
  "302": `does not do what it was asked for, CONNECT to ${FAR} (302 Found)`,
  "a refusal that stays open": `does not allow connections to ${FAR} (403 Forbidden: "no")`,
  "a header without end": NOT_HTTP,
  "a line without end": NOT_HTTP,
  "half a header": CLOSED,
  "no HTTP": NOT_HTTP,
  "bytes of TLS": "answers with TLS, not with HTTP",
  "a close": CLOSED,
  "a reset": CLOSED,
  nothing: `did not connect to ${FAR} within 10 s`,
};
/** Longer than any of these sentences and what is to be done about it; far shorter than what a proxy may say. */
const WORDS_MOST = 2000;

describe("a proxy that answers oddly", () => {
  const place = scratch();
  const pki = place.at("pki");
  let listening: Agent;
  let tunnelTo = 0;

  beforeAll(async () => {
    await initPki(pki);
    tunnelTo = await freePort();
    const where = ["--listen", `127.0.0.1:${tunnelTo}`, "--tls", `${pki}/target`];
    listening = startPvferry(["doctor", ...where]);
    await listening.says(/^Listening on/m);
  });

  afterAll(async () => {
    await listening[Symbol.asyncDispose]();
    place[Symbol.dispose]();
  });

  const through = async (answer: OddAnswer): Promise<Ended & { readonly url: string }> => {
    await using proxy = await oddProxy({ answer, tunnelTo });
    const url = `http://127.0.0.1:${proxy.port}`;
    const way = ["--to", FAR, "--via", url, "--tls", `${pki}/source`];
    const ended = await pvferry(["doctor", ...way, "--measure", "0s", "--json"]);
    expect(proxy.requests().length).toBeGreaterThan(0);
    return { ...ended, url };
  };

  const { "bytes right behind it": _, ...accepting } = ACCEPTING;

  it.each(Object.entries(accepting))("lets a connection through: %s", async (__, answer) => {
    const { code, stderr } = await through(answer);
    expect(code, stderr).toBe(0);
  });

  it.each(Object.entries(REFUSING))("is told apart: %s", async (what, answer) => {
    const { code, stdout, stderr, url } = await through(answer);
    expect(code, stderr).toBe(21);
    const { message, next } = JSON.parse(stdout) as { message: string; next: string };
    expect(message).toContain(`The proxy ${url} ${SAID[what as keyof typeof SAID]}`);
    expect(next).not.toBe("");
    expect(message.length).toBeLessThan(WORDS_MOST);
    // oxlint-disable-next-line no-control-regex -- a proxy's page may hold what a terminal obeys
    expect(message).not.toMatch(/[\u0000-\u001f\u007f]/);
  });
});
