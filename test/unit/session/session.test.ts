import { describe, expect, it } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import type { Connection, ListenOptions } from "../../../src/native/types.ts";
import { fakeItem } from "../../fixtures/fake-item.ts";
import {
  EMPTY_FACTS,
  FakeNative,
  fakeResult,
  MemoryConnection,
} from "../../fixtures/fake-native.ts";
import { RAW_HELLO, RawPeer } from "../../fixtures/raw-peer.ts";
import {
  noticesOf,
  phasesOf,
  settleBoth,
  startPair,
  startSource,
  startTarget,
} from "../../fixtures/session-pair.ts";

const LISTEN: ListenOptions = {
  host: "",
  port: 1,
  tls: { ca: "", certificate: "", key: "", peerUri: "" },
  handshakeTimeoutMs: 1,
  maxUnauthenticated: 1,
  maxUnbound: 1,
};

function failure(code: number, message: RegExp): unknown {
  return expect.objectContaining({ code, message: expect.stringMatching(message) as unknown });
}

describe("a session", () => {
  it("ends on both sides with the same receipt", async () => {
    const { native, source, target } = startPair();
    await settleBoth(native);
    const [ours, theirs] = await Promise.all([source.ended, target.ended]);
    expect(ours).toMatchObject({ exitCode: 0, volume: "volume", lanes: 2, items: [] });
    expect(theirs).toEqual(ours);
    expect(phasesOf(source)).toEqual([
      "connect",
      "hello",
      "preflight",
      "copy",
      "settle",
      "durable",
      "verdict",
    ]);
    const native_ = await native.target.promise;
    expect(native_.ends).toEqual(["durable", 0, "left"]);
    expect(native_.options.transfer).toBe("t/volume");
  });

  it("opens the index and as many lanes as agreed, and dials a lost one again", async () => {
    const { native, source, target } = startPair();
    const session = await native.source.promise;
    await expect.poll(() => session.attached.toSorted()).toEqual(["index", "lane 0", "lane 1"]);
    session.emit([{ type: "lane-lost", lane: 1, reason: "Reset.", worked: true }]);
    await expect.poll(() => session.attached.at(-1)).toBe("lane 1");
    expect(noticesOf(source)).toEqual(["Lane 2 was lost, and is dialled again: Reset."]);
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ reconnects: 1 });
    expect(await target.ended).toMatchObject({ reconnects: 1 });
  });

  it("begins with connections that were dialled while it was agreed on, and dials others later", async () => {
    const { native } = startPair();
    const session = await native.source.promise;
    await expect.poll(() => session.attached.length).toBe(3);
    const bound = native.unbound.map(({ boundAs }) => boundAs);
    expect(new Set(bound)).toEqual(new Set(["index", "lane 0", "lane 1"]));
    session.emit([{ type: "lane-lost", lane: 1, reason: "Reset.", worked: true }]);
    await expect.poll(() => session.attached.length).toBe(4);
    expect(native.unbound.length).toBe(3);
    await settleBoth(native);
  });

  it("closes what was dialled for a session that does not come about", async () => {
    const native = new FakeNative();
    const target = startTarget(native);
    expect(await startSource(native, { sourceVolumeName: "other" }).ended).toEqual(
      failure(23, /the volume "volume" and the other for "other"/),
    );
    await expect.poll(() => native.unbound.map(({ gone }) => gone)).toEqual([true, true, true]);
    target.interrupt();
    await target.ended;
  });

  it("a source says all that depends on no answer at once", async () => {
    const native = new FakeNative();
    const peers: RawPeer[] = [];
    const silent = (connection: Connection): void => {
      if (connection instanceof MemoryConnection) peers.push(new RawPeer(connection));
    };
    native.addonFor("target").listen(LISTEN, silent);
    const source = startSource(native);
    const said = (): unknown => peers[0]?.received.map(({ type }) => type);
    await expect.poll(said).toEqual(["hello", "preflight", "start"]);
    source.interrupt();
    await source.ended;
  });

  it("dials the index again when the network fails before it is bound, and at last gives up", async () => {
    const { native, source } = startPair();
    const session = await native.source.promise;
    const error = { kind: "network", message: "Reset.", errno: null } as const;
    const indexes = () => session.attached.filter((name) => name === "index").length;
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      await expect.poll(indexes, { timeout: 5_000 }).toBe(attempt);
      session.emit([{ type: "index-lost", error }]);
    }
    expect(await source.ended).toEqual(failure(20, /Reset/));
    expect(indexes()).toBe(8);
  });

  it("lists both sides' items in both receipts", async () => {
    const { native, source, target } = startPair();
    const [from, to] = await Promise.all([native.source.promise, native.target.promise]);
    const items = (side: "source" | "target") =>
      Array.from({ length: 1_200 }, (_, index) => fakeItem(side, `${index}`.padStart(4, "0")));
    for (const session of [from, to]) {
      session.emit([{ type: "items", items: items("source") }]);
      session.emit([{ type: "items", items: items("target") }]);
    }
    const counts = fakeResult().itemCounts;
    to.emit([
      { type: "settled", result: fakeResult({ itemCounts: { ...counts, "not-kept": 1_200 } }) },
    ]);
    from.emit([
      { type: "settled", result: fakeResult({ itemCounts: { ...counts, unreadable: 1_200 } }) },
    ]);
    const [ours, theirs] = await Promise.all([source.ended, target.ended]);
    expect(ours).toMatchObject({ exitCode: 40, itemsOmitted: 0 });
    expect(ours).toMatchObject({ items: [...items("source"), ...items("target")] });
    expect(theirs).toEqual(ours);
  });

  it("leaves the record of an unfinished copy when the digests differ", async () => {
    const { native, source, target } = startPair();
    const [from, to] = await Promise.all([native.source.promise, native.target.promise]);
    const roots = { content: "f".repeat(64), metadata: "2".repeat(64) };
    to.emit([{ type: "settled", result: fakeResult({ roots }) }]);
    from.emit([{ type: "settled", result: fakeResult() }]);
    expect(await source.ended).toMatchObject({ exitCode: 43 });
    expect(await target.ended).toMatchObject({ exitCode: 43 });
    expect(to.ends).toEqual(["durable", 43]);
  });

  it("is in its closing walk from the native session's word on, and the target's user hears of it", async () => {
    const { native, source, target } = startPair();
    const from = await native.source.promise;
    from.emit([{ type: "closing" }]);
    const waiting = { type: "waiting", for: "the source's closing walk" };
    await expect.poll(() => target.events).toContainEqual(waiting);
    expect(phasesOf(source).at(-1)).toBe("close");
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0, pass: { kind: "cutover" } });
    expect(phasesOf(source).slice(-4)).toEqual(["close", "settle", "durable", "verdict"]);
    expect(await target.ended).toEqual(await source.ended);
  });

  it("keeps the record after a stage pass, and both sides call it one", async () => {
    const { native, source, target } = startPair({ pass: "stage" });
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0, pass: { kind: "stage" } });
    expect(await target.ended).toEqual(await source.ended);
    expect((await native.source.promise).options.pass).toBe("stage");
    expect((await native.target.promise).ends).toEqual(["durable", 0]);
  });

  it("tells the other side why one gave up", async () => {
    const { native, source, target } = startPair();
    const to = await native.target.promise;
    to.emit([
      { type: "failed", error: { kind: "space", message: "The volume is full.", errno: "ENOSPC" } },
    ]);
    expect(await target.ended).toEqual(failure(30, /^The volume is full\. By then/));
    expect(await source.ended).toEqual(
      failure(24, /^The target at memory:1 gave up: The volume is full\./),
    );
    expect((await native.source.promise).closed).toBe(true);
    expect(to.closed).toBe(true);
  });

  it("takes the control channel's reason when its own connections break first", async () => {
    const { native, source, target } = startPair();
    const [from, to] = await Promise.all([native.source.promise, native.target.promise]);
    from.emit([
      { type: "failed", error: { kind: "network", message: "Index lost.", errno: null } },
    ]);
    to.emit([{ type: "failed", error: { kind: "io", message: "Bad sector.", errno: "EIO" } }]);
    expect(await source.ended).toEqual(failure(24, /Bad sector/));
    expect(await target.ended).toEqual(failure(32, /Bad sector/));
  });

  it.each(["source", "target"] as const)(
    "stops on both sides when the %s is interrupted",
    async (side) => {
      const pair = startPair();
      const session = await pair.native[side].promise;
      session.set("filesDone", 7);
      session.set("bytesDone", 1_500);
      const started = performance.now();
      pair[side].interrupt();
      const other = side === "source" ? "target" : "source";
      expect(await pair[side].ended).toEqual(
        failure(130, /By then 7 files with 1\.50 kB were copied\.$/),
      );
      expect(await pair[other].ended).toEqual(
        failure(24, new RegExp(`The ${side} .* interrupted`)),
      );
      expect(performance.now() - started).toBeLessThan(2_000);
    },
  );

  it("ends on both sides when the control connection breaks while copying", async () => {
    const { native, source, target } = startPair();
    await Promise.all([native.source.promise, native.target.promise]);
    native.line.peer?.cut();
    native.line.cut();
    expect(await source.ended).toEqual(failure(20, /was lost: Reset\./));
    expect(await target.ended).toEqual(failure(20, /was lost: Reset\./));
  });
});

describe("a source whose connection breaks late", () => {
  it("comes back for the verdict", async () => {
    const { native, source, target } = startPair();
    const [from, to] = await Promise.all([native.source.promise, native.target.promise]);
    const flushed = Promise.withResolvers<void>();
    to.flush = flushed.promise;
    await settleBoth(native);
    await expect.poll(() => phasesOf(target).at(-1)).toBe("durable");
    native.line.peer?.cut();
    native.line.cut();
    await expect.poll(() => native.connections.length).toBe(2);
    flushed.resolve();
    const [ours, theirs] = await Promise.all([source.ended, target.ended]);
    expect(ours).toMatchObject({ exitCode: 0 });
    expect(theirs).toEqual(ours);
    expect(from.closed).toBe(true);
  });

  it("is waited for when its own word of having settled was lost", async () => {
    const { native, source, target } = startPair();
    const [from, to] = await Promise.all([native.source.promise, native.target.promise]);
    to.emit([{ type: "settled", result: fakeResult() }]);
    await expect.poll(() => phasesOf(target).at(-1)).toBe("settle");
    native.line.peer?.cut();
    from.emit([{ type: "settled", result: fakeResult() }]);
    await expect.poll(() => phasesOf(source).at(-1)).toBe("durable");
    native.line.cut();
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
    expect(noticesOf(target).at(-1)).toMatch(/Waiting for the source to come back/);
  });

  it("says that the outcome is unknown when the target is gone", async () => {
    const { native, source, target } = startPair();
    const to = await native.target.promise;
    to.flush = Promise.withResolvers<void>().promise;
    await settleBoth(native);
    await expect.poll(() => phasesOf(target).at(-1)).toBe("durable");
    native.dialFailure = new PvferryError({
      code: 21,
      message: "The proxy is gone.",
      next: "Start it.",
    });
    native.line.cut();
    expect(await source.ended).toEqual(failure(20, /^The outcome is unknown/));
    target.interrupt();
    expect(await target.ended).toEqual(failure(130, /Interrupted/));
  });
});

describe("before the copy", () => {
  it("a source waits for its target, and says so", async () => {
    const native = new FakeNative();
    const source = startSource(native);
    await expect
      .poll(() => source.events.find((event) => event.type === "waiting"))
      .toMatchObject({ for: "the target at target.example:1: Nothing listens" });
    const target = startTarget(native);
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });

  it("a source gives up when its time is over", async () => {
    const source = startSource(new FakeNative(), { connectTimeoutMs: 300 });
    expect(await source.ended).toEqual(
      failure(20, /was not reached within 300ms: Nothing listens\.$/),
    );
  });

  it("a source does not try again what cannot get better", async () => {
    const native = new FakeNative();
    native.dialFailure = new PvferryError({ code: 22, message: "Not trusted.", next: "Fix it." });
    expect(await startSource(native).ended).toEqual(failure(22, /^Not trusted\.$/));
    expect(native.dialled).toBe(1);
  });

  it("another volume's source is turned away, and the right one let in", async () => {
    const native = new FakeNative();
    const target = startTarget(native);
    const wrong = startSource(native, { sourceVolumeName: "other" });
    expect(await wrong.ended).toEqual(
      failure(23, /Refused by .*for the volume "volume" and the other for "other"/),
    );
    expect(noticesOf(target)[0]).toMatch(/^Turned away the source at memory:1/);
    const right = startSource(native);
    await settleBoth(native);
    expect(await right.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });

  it("a source that is not newer is told that the target is in use", async () => {
    const { native, source, target } = startPair();
    await native.source.promise;
    const older = new RawPeer(native.knock());
    older.say({ ...RAW_HELLO, epoch: "1" });
    const says = expect.stringMatching(/^Another session, which is not older/) as unknown;
    await expect.poll(() => older.heard("refused")).toMatchObject({ code: 33, message: says });
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });

  it("a target that is not empty is not listened on", async () => {
    const native = new FakeNative();
    native.targetFacts = { ...EMPTY_FACTS, firstNames: ["a", "b"] };
    expect(await startTarget(native).ended).toEqual(failure(31, /is not empty: it holds a, b\.$/));
    expect(() => native.knock()).toThrow("Nothing listens");
  });

  it("a target that may hold entries is listened on, and told what to do with them", async () => {
    const native = new FakeNative();
    native.targetFacts = { ...EMPTY_FACTS, firstNames: ["a", "b"] };
    const wanted = {
      existing: "mirror",
      maxDelete: { entries: null, percent: 5 },
      allowEmptySource: true,
    } as const;
    const target = startTarget(native, wanted);
    startSource(native);
    expect((await native.target.promise).options).toMatchObject(wanted);
    target.interrupt();
    expect(await target.ended).toMatchObject({ code: 130 });
  });

  it("leftovers of the same transfer are no obstacle", async () => {
    const native = new FakeNative();
    native.targetFacts = {
      ...EMPTY_FACTS,
      firstNames: ["a"],
      unfinishedTransfer: "t/volume",
      freeBytes: 0,
    };
    const { source, target } = startPair({}, native);
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });

  it("both sides refuse a target that is too small", async () => {
    const native = new FakeNative();
    native.sourceFacts = { ...EMPTY_FACTS, isMountPoint: true, usedBytes: 9e11 };
    native.targetFacts = { ...EMPTY_FACTS, freeBytes: 1e9 };
    const { source, target } = startPair({}, native);
    expect(await source.ended).toEqual(failure(30, /needs some .* and the target volume has/));
    expect(await target.ended).toEqual(failure(30, /needs some .* and the target volume has/));
  });

  it("a target listens again when its source is lost before anything is written", async () => {
    const native = new FakeNative();
    const target = startTarget(native);
    const first = new RawPeer(native.knock());
    first.say(RAW_HELLO);
    await expect.poll(() => first.heard("preflight")).toBeDefined();
    first.connection.close();
    await expect
      .poll(() => noticesOf(target))
      .toEqual([expect.stringMatching(/Nothing was copied; listening again\.$/)]);
    const second = startSource(native);
    await settleBoth(native);
    expect(await second.ended).toMatchObject({ exitCode: 0 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
  });
});

it("stops as soon as what was scanned cannot fit", async () => {
  const native = new FakeNative();
  native.targetFacts = { ...EMPTY_FACTS, freeBytes: 1_000_000 };
  const { source, target } = startPair({}, native);
  (await native.source.promise).set("allocatedScanned", 1e13);
  expect(await source.ended).toEqual(failure(30, /already needs 10\.0 TB/));
  expect(await target.ended).toEqual(failure(24, /gave up: .*already needs 10\.0 TB/));
});
