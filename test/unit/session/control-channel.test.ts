/** A channel facing a peer that holds to nothing: bounded, ended with a sentence, and the peer told why. */

import { Buffer } from "node:buffer";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { LIMITS } from "../../../src/config/limits.ts";
import type { PvferryError } from "../../../src/core/errors.ts";
import type { Wait } from "../../../src/core/waiting.ts";
import { ControlChannel } from "../../../src/session/control-channel.ts";
import { connectionPair } from "../../fixtures/fake-native.ts";
import { RAW_HELLO, RawPeer } from "../../fixtures/raw-peer.ts";

function openTarget(): { channel: ControlChannel; peer: RawPeer } {
  const [near, far] = connectionPair();
  return {
    channel: new ControlChannel(near, { role: "target", agent: "0.1.0" }),
    peer: new RawPeer(far),
  };
}

function wait(deadlineMs = 1_000): Wait {
  const tooLate = (): PvferryError => {
    throw new Error("too late");
  };
  return { deadlineMs, signal: new AbortController().signal, tooLate };
}

async function endOf(channel: ControlChannel): Promise<PvferryError> {
  await expect.poll(() => channel.over.aborted).toBe(true);
  return channel.over.reason as PvferryError;
}

/** A channel that has heard a proper hello and stands at "copy". */
async function copying(): Promise<{ channel: ControlChannel; peer: RawPeer }> {
  const both = openTarget();
  both.peer.say(RAW_HELLO);
  await both.channel.receive(["hello"], wait());
  both.channel.stage = "copy";
  return both;
}

const scanned = { type: "scanned", entries: "1", bytes: "1", allocatedBytes: "1", done: false };

describe("a control channel", () => {
  it("hands out messages in order, however they were cut", async () => {
    const { channel, peer } = await copying();
    peer.say(scanned, { ...scanned, entries: "2" });
    expect(await channel.receive(["scanned"], wait())).toMatchObject({ entries: 1 });
    expect(await channel.receive(["scanned"], wait())).toMatchObject({ entries: 2 });
  });

  it("answers pings, and numbers what it sends", async () => {
    const { peer } = await copying();
    peer.say({ type: "ping" });
    await expect.poll(() => peer.received).toEqual([{ type: "pong", seq: 0 }]);
    peer.say({ type: "ping" });
    await expect.poll(() => peer.received.at(-1)).toEqual({ type: "pong", seq: 1 });
  });

  it("hands out what came before the end, then the end", async () => {
    const { channel, peer } = await copying();
    peer.say(scanned, { type: "cancel", code: 30, message: "Full." });
    await endOf(channel);
    expect(await channel.receive(["scanned"], wait())).toMatchObject({ entries: 1 });
    const message = expect.stringMatching(/^The source at memory:1 gave up: Full\.$/) as unknown;
    await expect(channel.receive(["scanned"], wait())).rejects.toMatchObject({ code: 24, message });
  });

  it("tells both sides of a version mismatch in a sentence that names both", async () => {
    const { channel, peer } = openTarget();
    peer.say({ ...RAW_HELLO, versions: { min: 7, max: 9 }, agent: "8.0.0", wants: ["anything"] });
    const error = await endOf(channel);
    expect(error).toMatchObject({ code: 23 });
    expect(error.message).toMatch(
      /The target is pvferry 0\.1\.0 \(protocol 1\) and the source is pvferry 8\.0\.0 \(protocol 7 to 9\)/,
    );
    expect(channel.otherVersion).toBe(true);
    await expect.poll(() => peer.heard("refused")).toMatchObject({ code: 23 });
    expect(peer.heard("refused")?.["message"]).toContain("protocol 7 to 9");
    await expect.poll(() => peer.ended).toBe(true);
  });

  it("makes harmless what a peer wants printed", async () => {
    const { channel, peer } = await copying();
    peer.say({ type: "cancel", code: 1, message: "\u001b[2J\nbye" });
    expect((await endOf(channel)).message).toContain("\\x1b[2J\\nbye");
  });

  it("does not take a refusal's word for any exit code", async () => {
    const { channel, peer } = openTarget();
    peer.say({ type: "refused", code: 0, message: "m", next: "n", seq: undefined });
    expect(await endOf(channel)).toMatchObject({ code: 24 });
  });
});

describe("a breach of the protocol ends the channel and is named", () => {
  it.each([
    ["a wrong number", [{ ...scanned, seq: 7 }], /bears number 7; 1 was due/],
    ["a repeated number", [{ ...scanned, seq: 0 }], /bears number 0; 1 was due/],
    [
      "the other side's message",
      [{ type: "farewell", seq: 1 }],
      /when the session stood at "copy"/,
    ],
    ["an unknown message", [{ type: "rm" }], /unknown type "rm"/],
    ["a second hello", [RAW_HELLO], /"hello" twice/],
    [
      "a malformed message",
      [{ ...scanned, entries: -1 }],
      /malformed "scanned" message at entries/,
    ],
    ["a message only this side may send", [{ type: "ready" }], /malformed "ready"/],
  ])("%s", async (_name, messages, sentence) => {
    const { channel, peer } = await copying();
    peer.say(...messages);
    await expect(channel.receive(["scanned"], wait())).rejects.toMatchObject({
      code: 23,
      message: expect.stringMatching(sentence) as unknown,
    });
    await expect.poll(() => peer.heard("cancel")).toMatchObject({ code: 23 });
    await expect.poll(() => peer.ended).toBe(true);
  });

  it("a message that only this side may send, though well formed", async () => {
    const { channel, peer } = await copying();
    const free = { freeBytes: "0", freeInodes: "0" };
    peer.say({ type: "progress", entries: "0", files: "0", bytes: "0", ...free });
    expect((await endOf(channel)).message).toMatch(/only the target may send/);
  });

  it("something other than a hello first", async () => {
    const { channel, peer } = openTarget();
    peer.say({ type: "ping" });
    expect((await endOf(channel)).message).toMatch(/first message is not a pvferry hello/);
  });

  it("an oversized frame", async () => {
    const { channel, peer } = openTarget();
    peer.raw(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    expect((await endOf(channel)).message).toMatch(/frame of 4294967295 bytes/);
  });

  it("a web request", async () => {
    const { channel, peer } = openTarget();
    peer.raw(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    expect((await endOf(channel)).message).toMatch(/the bytes read "GET "/);
  });

  it("a flood of pings", async () => {
    const { channel, peer } = await copying();
    peer.say(
      ...Array.from({ length: LIMITS.controlMessagesBurst + 100 }, () => ({ type: "ping" })),
    );
    expect((await endOf(channel)).message).toMatch(/floods/);
  });

  it("more messages than anybody takes", async () => {
    const { channel, peer } = await copying();
    peer.say(...Array.from({ length: LIMITS.controlInboxMessages + 1 }, () => scanned));
    expect((await endOf(channel)).message).toMatch(/floods/);
  });
});

describe("a peer that stops", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("listening is given up on, with bounded memory", () => {
    const [near] = connectionPair();
    near.send = () => new Promise<void>(() => undefined);
    const channel = new ControlChannel(near, { role: "target", agent: "0.1.0" });
    for (let count = 0; count <= LIMITS.controlOutboxMessages; count += 1) {
      channel.post({ type: "ping" });
    }
    expect(channel.over.reason).toMatchObject({ code: 20 });
    vi.advanceTimersByTime(LIMITS.lastWordMs);
    expect(near.closed).toBe(true);
  });

  it("speaking is taken for dead after 15 s, and was pinged before", async () => {
    const { channel, peer } = openTarget();
    peer.say(RAW_HELLO);
    await channel.receive(["hello"], wait());
    channel.startKeepAlive();
    await vi.advanceTimersByTimeAsync(LIMITS.idleTimeoutMs - 1_000);
    expect(peer.received.filter((message) => message.type === "ping")).toHaveLength(4);
    expect(channel.over.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(channel.over.reason).toMatchObject({ code: 20 });
  });

  it("speaking but answers pings is alive", async () => {
    const { channel, peer } = openTarget();
    peer.say(RAW_HELLO);
    await channel.receive(["hello"], wait());
    channel.startKeepAlive();
    for (let round = 0; round < 10; round += 1) {
      await vi.advanceTimersByTimeAsync(LIMITS.keepAliveMs);
      peer.say({ type: "pong" });
    }
    await vi.advanceTimersByTimeAsync(1);
    expect(channel.over.aborted).toBe(false);
    channel.close();
  });
});

describe("a connection that ends before the first word", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const reset = JSON.stringify({ kind: "network", message: "It was reset.", errno: "ECONNRESET" });
  const stolen = /^TLS was agreed on with the target at memory:1, and then .* without a word\.$/;

  function endedAfter(ms: number, role: "source" | "target", error: string | null): string {
    const [near] = connectionPair();
    let end: Parameters<typeof near.start>[0] = () => undefined;
    near.start = (onData) => {
      end = onData;
    };
    const channel = new ControlChannel(near, { role, agent: "0.1.0" });
    vi.advanceTimersByTime(ms);
    end(null, error);
    return (channel.over.reason as PvferryError).message;
  }

  it.each([
    ["closed", null],
    ["reset", reset],
  ])("is %s by a target that turns nobody away in words", (_, error) => {
    expect(endedAfter(100, "source", error)).toMatch(stolen);
  });

  it("is no more than lost when it was silent for long, or is a source's", () => {
    expect(endedAfter(9_000, "source", reset)).toMatch(/was lost: It was reset\.$/);
    expect(endedAfter(100, "target", reset)).toMatch(/was lost: It was reset\.$/);
  });
});
