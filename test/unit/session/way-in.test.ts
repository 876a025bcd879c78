import { describe, expect, it } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import { FakeNative } from "../../fixtures/fake-native.ts";
import { settleBoth, startPair, startSource, startTarget } from "../../fixtures/session-pair.ts";

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
