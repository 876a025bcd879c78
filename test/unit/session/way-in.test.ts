import { describe, expect, it } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import { firstWay, laneRange } from "../../../src/session/way-in.ts";
import { FakeNative } from "../../fixtures/fake-native.ts";
import { settleBoth, startPair, startSource, startTarget } from "../../fixtures/session-pair.ts";

const TLS = { ca: "", certificate: "", key: "", transfer: "t", role: "source" } as const;
const PROXY = { scheme: "http", host: "proxy", port: 1, user: null, password: null } as const;

describe("a source's first way in", () => {
  it("is gone by its session, which dials no other", async () => {
    const { native, source, target } = startPair({ begins: true });
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0, sessions: 1 });
    expect(await target.ended).toMatchObject({ exitCode: 0 });
    // Control, index and two lanes.
    expect(native.dialled).toBe(4);
    expect(native.unbound.map(({ boundAs }) => boundAs)).not.toContain(null);
  });

  it("has as many lanes as its length is worth", async () => {
    const native = new FakeNative();
    const run = { tls: TLS, lanes: 2, lanesMost: 32, connectTimeoutMs: 1_000, path: native.path };
    expect(laneRange(run, 32)).toEqual({ first: 2, long: 16, most: 32 });
    expect(laneRange(run, 1)).toMatchObject({ first: 1, most: 1 });
    expect(laneRange({ ...run, path: { ...native.path, proxies: [PROXY] } }, 32).long).toBe(8);
    const target = startTarget(native);
    native.roundTripUs = 50_000;
    const way = firstWay(native.addonFor("source"), run, new AbortController().signal);
    // And an index.
    await expect.poll(() => native.unbound.length).toBe(17);
    way.close();
    await expect.poll(() => native.unbound.every(({ gone }) => gone)).toBe(true);
    target.interrupt();
    await target.ended;
  });

  it("is closed when there is to be no session", async () => {
    const native = new FakeNative();
    const target = startTarget(native);
    const source = startSource(native, { begins: true, sourceVolume: "/nowhere" });
    expect(await source.ended).toMatchObject({ code: 31 });
    await expect.poll(() => native.connections.map(({ closed }) => closed)).toEqual([true]);
    await expect.poll(() => native.unbound.every(({ gone }) => gone)).toBe(true);
    target.interrupt();
    await target.ended;
  });

  it("is followed by others when it leads nowhere", async () => {
    const native = new FakeNative();
    native.dialFailure = new PvferryError({
      code: 20,
      message: "Nothing listens.",
      next: "Start the target.",
      temporary: true,
    });
    const source = startSource(native, { begins: true });
    await expect.poll(() => native.dialled).toBeGreaterThan(1);
    native.dialFailure = null;
    const target = startTarget(native);
    await settleBoth(native);
    expect(await source.ended).toMatchObject({ exitCode: 0 });
    await target.ended;
  });
});
