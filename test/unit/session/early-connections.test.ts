import { describe, expect, it } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import { EarlyConnections } from "../../../src/session/early-connections.ts";
import { FakeNative } from "../../fixtures/fake-native.ts";

function early(native: FakeNative): EarlyConnections {
  const tls = { ca: "", certificate: "", key: "", transfer: "t", role: "source" } as const;
  return new EarlyConnections({ addon: native.addonFor("source"), path: native.path, tls });
}

function failure(): PvferryError {
  return new PvferryError({ code: 20, message: "Reset.", next: "Try again." });
}

describe("connections that are dialled early", () => {
  it("are none as long as nobody has asked for them", async () => {
    const native = new FakeNative();
    const connections = early(native);
    expect([await connections.take("index"), await connections.take("lane")]).toEqual([null, null]);
    expect(native.dialled).toBe(0);
  });

  it("are one index and so many lanes, each handed out once", async () => {
    const native = new FakeNative();
    const connections = early(native);
    connections.open(2);
    const [index, first, second] = [
      await connections.take("index"),
      await connections.take("lane"),
      await connections.take("lane"),
    ];
    expect(new Set([index, first, second])).toEqual(new Set(native.unbound));
    expect(native.unbound.map(({ channel }) => channel)).toEqual(["index", "lane", "lane"]);
    expect([await connections.take("index"), await connections.take("lane")]).toEqual([null, null]);
  });

  it("are left out when they have ended, or did not come about", async () => {
    const native = new FakeNative();
    native.unboundFailure = failure();
    const failed = early(native);
    failed.open(1);
    expect([await failed.take("index"), await failed.take("lane")]).toEqual([null, null]);
    native.unboundFailure = null;
    const connections = early(native);
    connections.open(2);
    await expect.poll(() => native.unbound.length).toBe(3);
    const [, gone, alive] = native.unbound;
    gone?.close();
    expect(await connections.take("lane")).toBe(alive);
  });

  it("are closed when nobody has taken them, also those that come later", async () => {
    const native = new FakeNative();
    const connections = early(native);
    connections.open(2);
    const taken = await connections.take("lane");
    connections.close();
    expect(await connections.take("lane")).toBeNull();
    const gone = (): unknown => native.unbound.map((one) => one === taken || one.gone);
    await expect.poll(gone).toEqual([true, true, true]);
    expect(taken?.isUsable()).toBe(true);
  });
});
