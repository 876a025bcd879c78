/** A doctor examines the path to a target, or to another doctor, and neither disturbs a transfer. */
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:tls";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Diagnosis } from "../../src/session/doctor/diagnosis.ts";
import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { pvferry, startPvferry, type Agent, type Ended } from "../agent/run-pvferry.ts";
import { issueServer, makeAuthority } from "../bed/network/certificates.ts";
import { freePort, listenAnywhere } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const place = scratch();
const pki = place.at("pki");
const others = place.at("others");

beforeAll(async () => {
  await initPki(pki);
  await initPki(others);
});

afterAll(() => place[Symbol.dispose]());

async function examine(to: string, ...flags: string[]): Promise<Ended & { diagnosis: Diagnosis }> {
  const args = ["doctor", "--to", to, "--tls", `${pki}/source`, "--measure", "200ms", "--json"];
  const ended = await pvferry([...args, ...flags]);
  return { ...ended, diagnosis: JSON.parse(ended.stdout) as Diagnosis };
}

async function startListening(port: number): Promise<Agent> {
  const address = `127.0.0.1:${port}`;
  const agent = startPvferry(["doctor", "--listen", address, "--tls", `${pki}/target`]);
  await agent.says(/^Listening on/m);
  return agent;
}

const verdicts = ({ steps }: Diagnosis): string[] => steps.map(({ verdict }) => verdict);

describe("pvferry doctor", () => {
  it("finds a sound path to another doctor, with figures", async () => {
    const port = await freePort();
    await using listening = await startListening(port);
    const { code, stderr, diagnosis } = await examine(`localhost:${port}`);
    expect(code, stderr).toBe(0);
    expect(new Set(verdicts(diagnosis))).toEqual(new Set(["ok"]));
    expect(diagnosis.measurements?.roundTripMs).toBeGreaterThan(0);
    expect(Math.abs(diagnosis.measurements?.clockDifferenceMs ?? Infinity)).toBeLessThan(60_000);
    expect(diagnosis.measurements?.goodput.map(({ lanes }) => lanes)).toEqual([1, 2, 4, 8]);
    for (const { bytesPerSecond } of diagnosis.measurements?.goodput ?? []) {
      expect(bytesPerSecond).toBeGreaterThan(0);
    }
    expect(stderr).toMatch(/^ok +\S+ +TLS: an agent of this transfer/m);
    await listening.says(/^A doctor examines the path from 127\.0\.0\.1:\d+\.$/m);
    expect(listening.stderr()).not.toContain("Turned away");
    listening.kill("SIGINT");
    expect((await listening.ended).code).toBe(130);
  });

  it("uses up no session of a target's", async () => {
    const volume = place.directory("volume");
    writeFileSync(`${volume}/file`, "the data");
    const { agent: target, port } = await startTarget({ volume: place.directory("copy"), pki });
    await using listening = target;
    await listening.says(/^Listening on/m);
    expect((await examine(`127.0.0.1:${port}`, "--measure", "0s")).code).toBe(0);
    await using source = startSource({ volume, pki, port });
    expect((await source.ended).code).toBe(0);
    expect((await listening.ended).code).toBe(0);
    expect(readFileSync(place.at("copy/file"), "utf8")).toBe("the data");
  });

  it("examines a source that listens, before and beside its session, and uses up no session", async () => {
    const volume = place.directory("listening");
    writeFileSync(`${volume}/file`, randomBytes("doctor").bytes(20 * 1_048_576));
    const port = await freePort();
    const to = `127.0.0.1:${port}`;
    const slow = ["--bwlimit", "5M", "--compress", "none"];
    const listens = ["--tls", `${pki}/source`, "--listen", to, "--json"];
    await using source = startPvferry(["source", volume, ...listens, ...slow]);
    await source.says(/^Listening on/m);
    const asTarget = ["--tls", `${pki}/target`];
    const before = await examine(to, ...asTarget);
    expect(before.code, before.stderr).toBe(0);
    expect(before.diagnosis.measurements?.goodput).toHaveLength(4);
    const copy = place.directory("dialled");
    const dials = ["target", copy, ...asTarget, "--to", to, "--json"];
    await using target = startPvferry(dials);
    await expect.poll(() => existsSync(`${copy}/.pvferry`), { timeout: 60_000 }).toBe(true);
    const beside = await examine(to, ...asTarget, "--measure", "0s");
    expect(beside.code, beside.stderr).toBe(0);
    expect(source.isRunning()).toBe(true);
    expect(source.stderr()).toMatch(/^A doctor examines the path from 127\.0\.0\.1:\d+\.$/m);
    for (const { ended } of [source, target]) {
      const { code, stdout, stderr } = await ended;
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ sessions: 1, reconnects: 0 });
    }
  });

  it("has to be of the other side", async () => {
    const port = await freePort();
    await using listening = await startListening(port);
    const { code, diagnosis } = await examine(`127.0.0.1:${port}`, "--tls", `${pki}/target`);
    expect(code).toBe(22);
    expect(diagnosis.message).toContain("role target, but source was expected");
    expect(listening.isRunning()).toBe(true);
  });

  it("says that nobody listens, and ends with the code of a transfer", async () => {
    const { code, diagnosis } = await examine(`127.0.0.1:${await freePort()}`);
    expect(code).toBe(20);
    expect(verdicts(diagnosis)).toEqual(["failed"]);
    expect(diagnosis.message).toContain("connection refused");
    expect(diagnosis.measurements).toBeNull();
  });

  it("goes on to the next node of a NodePort", async () => {
    const port = await freePort();
    await using listening = await startListening(port);
    const { code, diagnosis } = await examine(
      `nodeport:127.0.0.2,127.0.0.1:${port}`,
      "--measure",
      "0s",
    );
    expect(listening.isRunning()).toBe(true);
    expect(code).toBe(0);
    expect(verdicts(diagnosis).slice(0, 2)).toEqual(["warning", "ok"]);
  });

  it("names the transfer of an agent with another PKI, and a transfer says the same", async () => {
    const volume = place.directory("another");
    const { agent, port } = await startTarget({ volume: place.directory("theirs"), pki: others });
    await using listening = agent;
    await listening.says(/^Listening on/m);
    const { code, diagnosis } = await examine(`127.0.0.1:${port}`);
    expect(code).toBe(22);
    expect(diagnosis.message).toMatch(/belongs to another transfer.*pvferry:\/\/[\da-f-]+\/target/);
    await using source = startSource({ volume, pki, port });
    const ended = await source.ended;
    expect(ended.code).toBe(22);
    expect(ended.stderr).toContain(diagnosis.message);
  });

  it.each([["h2"], ["http/1.1"]])(
    "names a TLS server that is no agent and speaks %s",
    async (protocol) => {
      const folder = place.directory(protocol.replace("/", "-"));
      const certificate = issueServer(folder, makeAuthority(folder, "web-ca"), "web.example");
      const pem = readFileSync(certificate);
      const options = { key: pem, cert: pem, ALPNProtocols: [protocol] };
      const server = createTlsServer(options, (socket) => socket.on("error", () => {}).resume());
      const port = await listenAnywhere(server);
      const { code, diagnosis } = await examine(`127.0.0.1:${port}`);
      server.close();
      await once(server, "close");
      expect(code).toBe(22);
      expect(diagnosis.message).toContain("a certificate for web.example, issued by CN=web-ca: ");
      expect(diagnosis.message).toContain("that is another TLS server, not an agent");
    },
  );

  it("is either end, not both", async () => {
    const args = ["doctor", "--to", "h:1", "--listen", "0", "--tls", `${pki}/source`];
    const ended = await pvferry(args);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain("--listen waits for the other side");
  });
});
