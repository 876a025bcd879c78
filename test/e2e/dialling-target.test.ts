/** A target that can only dial out still receives: its source listens, and everything else is as ever. */
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { pvferry, startPvferry, type Agent } from "../agent/run-pvferry.ts";
import { freePort } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";
import { compareTrees } from "../judge/compare-trees.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const place = scratch();
const pki = place.at("pki");
const volume = place.directory("volume");

beforeAll(async () => {
  await initPki(pki);
  mkdirSync(`${volume}/folder`);
  writeFileSync(`${volume}/folder/small`, "the data");
  writeFileSync(`${volume}/large`, randomBytes("dialling").bytes(48 * 1_048_576));
});

afterAll(() => place[Symbol.dispose]());

function listeningSource(port: number, ...flags: string[]): Agent {
  const listen = ["--listen", `127.0.0.1:${port}`, "--connect-timeout", "60s"];
  return startPvferry(["source", volume, "--tls", `${pki}/source`, ...listen, ...flags]);
}

function diallingTarget(copy: string, port: number, ...flags: string[]): Agent {
  const args = ["target", copy, "--tls", `${pki}/target`, "--to", `127.0.0.1:${port}`];
  return startPvferry([...args, ...flags]);
}

async function expectCopied(copy: string, ...agents: Agent[]): Promise<void> {
  for (const agent of agents) expect((await agent.ended).code, agent.stderr()).toBe(0);
  expect(await compareTrees(volume, copy, { rsync: false })).toEqual([]);
}

/** Connects, says something or nothing, and stays. */
async function stranger(port: number, words: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write(words);
  return socket;
}

describe("a target that dials", () => {
  it("receives from a source that listens, whichever is there first", async () => {
    for (const order of ["source", "target"]) {
      const port = await freePort();
      const copy = place.directory(`after-${order}`);
      const first = order === "source" ? listeningSource(port) : diallingTarget(copy, port);
      await using one = first;
      await one.says(order === "source" ? /^Listening on/m : /Waiting for the source at .*refused/);
      const second = order === "source" ? diallingTarget(copy, port) : listeningSource(port);
      await using other = second;
      await expectCopied(copy, one, other);
    }
  });

  it("is found among strangers", async () => {
    const port = await freePort();
    const copy = place.directory("among-strangers");
    await using source = listeningSource(port);
    await source.says(/^Listening on/m);
    const gone = await stranger(port, "");
    gone.destroy();
    const others = [await stranger(port, "GET / HTTP/1.1\r\n\r\n"), await stranger(port, "\0\0\0")];
    await using target = diallingTarget(copy, port);
    await expectCopied(copy, source, target);
    for (const other of others) other.destroy();
  });

  it("finds its source again when that was killed in the middle", async () => {
    const port = await freePort();
    const copy = place.directory("killed-source");
    // Four seconds.
    await using source = listeningSource(port, "--bwlimit", "12M", "--compress", "none");
    await using target = diallingTarget(copy, port);
    while (!existsSync(`${copy}/.pvferry`)) await sleep(20);
    await sleep(1_000);
    source.kill("SIGKILL");
    await source.ended;
    await using successor = listeningSource(port);
    await expectCopied(copy, successor, target);
    expect(target.stderr()).toMatch(/Waiting for the source/);
  });

  it("cannot listen as well, and its source cannot dial as well", async () => {
    const both = ["--to", "h:1", "--listen", "0"];
    for (const side of ["source", "target"]) {
      const ended = await pvferry([side, volume, "--tls", `${pki}/${side}`, ...both]);
      expect(ended.code).toBe(2);
      expect(ended.stderr).toContain("--listen waits for the other side");
    }
  });

  it("a source says that its port is in use", async () => {
    const port = await freePort();
    await using first = listeningSource(port);
    await first.says(/^Listening on/m);
    await using second = listeningSource(port);
    expect((await second.ended).code).toBe(33);
    expect(second.stderr()).toContain(`127.0.0.1:${port} is in use`);
  });
});
