/** The control channel over real connections: strangers with the right certificate, latecomers, and breaks at the end. */

import { Buffer } from "node:buffer";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { describe, expect, it } from "vitest";

import { breakingRelay } from "../bed/breaking-relay.ts";
import { scratch } from "../bed/scratch.ts";
import { RAW_HELLO } from "../fixtures/raw-peer.ts";
import { knock, startRealSource, startRealTarget } from "../fixtures/real-session.ts";

const CONTENT = Buffer.alloc(3_000_000, "pvferry ");

function volumes(place: { directory: (name: string) => string }): [string, string] {
  const [source, target] = [place.directory("source"), place.directory("target")];
  writeFileSync(path.join(source, "file"), CONTENT);
  return [source, target];
}

describe("a target", () => {
  it("turns nonsense and silence away, and serves the source that comes after", async () => {
    using place = scratch();
    const [source, target] = volumes(place);
    const listening = await startRealTarget(target);
    const garbage = await knock(listening.port);
    await garbage.raw(Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await garbage.ended;
    expect(garbage.received).toMatchObject([{ type: "refused", code: 23 }]);
    const oversized = await knock(listening.port);
    await oversized.raw(Buffer.from([0x7f, 0xff, 0xff, 0xff]));
    await oversized.ended;
    const silent = await Promise.all(Array.from({ length: 12 }, () => knock(listening.port)));
    const from = await startRealSource(source, listening.port);
    expect(await from.ended).toMatchObject({ exitCode: 0 });
    expect(await listening.ended).toMatchObject({ exitCode: 0 });
    expect(readFileSync(path.join(target, "file"))).toEqual(CONTENT);
    for (const each of silent) each.close();
  });

  it("ends, as its peer does, when their releases cannot talk to each other", async () => {
    using place = scratch();
    const [, target] = volumes(place);
    const listening = await startRealTarget(target);
    const future = await knock(listening.port);
    await future.say({ ...RAW_HELLO, versions: { min: 8, max: 9 }, agent: "9.0.0" });
    await future.ended;
    const sentence = /pvferry \S+ \(protocol 1\).*pvferry 9\.0\.0 \(protocol 8 to 9\)/;
    expect(await listening.ended).toMatchObject({
      code: 23,
      message: expect.stringMatching(sentence) as unknown,
    });
    expect(future.received.at(-1)?.["message"]).toMatch(sentence);
  });

  it("tells an older source that it is in use", async () => {
    using place = scratch();
    const [source, target] = volumes(place);
    const listening = await startRealTarget(target);
    const first = await knock(listening.port);
    await first.say({ ...RAW_HELLO, transfer: "test-transfer", epoch: "9007199254740991" });
    await expect.poll(() => first.received.length, { timeout: 5_000 }).toBeGreaterThan(0);
    const second = await startRealSource(source, listening.port);
    expect(await second.ended).toMatchObject({ code: 33 });
    first.close();
    const third = await startRealSource(source, listening.port);
    expect(await third.ended).toMatchObject({ exitCode: 0 });
    expect(await listening.ended).toMatchObject({ exitCode: 0 });
  });
});

describe("a source whose control connection breaks when all is copied", () => {
  it.each(["settle", "durable"] as const)("comes back for the verdict: %s", async (phase) => {
    using place = scratch();
    const [source, target] = volumes(place);
    const listening = await startRealTarget(target);
    await using relay = await breakingRelay({
      targetPort: listening.port,
      everyMs: 0,
      breaks: [],
    });
    let broken = false;
    const from = await startRealSource(source, relay.port, (event) => {
      if (broken || event.type !== "phase" || event.phase !== phase) return;
      broken = true;
      relay.breakAll("control");
    });
    const ours = await from.ended;
    expect(ours).toMatchObject({ exitCode: 0 });
    expect(await listening.ended).toEqual(ours);
    expect(relay.counts().control).toBe(2);
    expect(readFileSync(path.join(target, "file"))).toEqual(CONTENT);
  });
});
