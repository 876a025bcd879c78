import { describe, expect, it } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import { wrapAddon } from "../../../src/native/addon.ts";
import { fromNativeError, nativeErrorFromJson } from "../../../src/native/errors.ts";
import type { NativeErrorKind } from "../../../src/native/types.ts";
import { FakeNative } from "../../fixtures/fake-native.ts";

describe("errors of the native core", () => {
  it.each<[NativeErrorKind, string | null, number]>([
    ["bug", null, 1],
    ["network", "ECONNRESET", 20],
    ["network", "EADDRINUSE", 33],
    ["untrusted", null, 22],
    ["protocol", null, 23],
    ["space", "ENOSPC", 30],
    ["space", "EDQUOT", 30],
    ["volume", "ENOENT", 31],
    ["io", "EIO", 32],
    ["busy", null, 33],
    ["limit", null, 34],
    ["journal", null, 35],
    ["interrupted", null, 130],
  ])("of kind %s (%s) have code %d and advice", (kind, errno, code) => {
    const error = fromNativeError({ kind, message: "It failed.", errno });
    expect(error).toMatchObject({ code, message: "It failed." });
    expect(error.next).toMatch(/\.$/);
  });

  it("that arrive as text and are none are defects", () => {
    expect(nativeErrorFromJson("what?")).toMatchObject({ code: 1 });
    expect(nativeErrorFromJson('{"kind":"odd","message":"m","errno":null}')).toMatchObject({
      code: 1,
    });
  });

  it("are translated by the wrapped addon; others stay what they are", async () => {
    const native = new FakeNative();
    const text = JSON.stringify({ kind: "io", message: "Bad sector.", errno: "EIO" });
    const addon = wrapAddon({
      ...native.addonFor("source"),
      volumeFacts: () => {
        throw new Error(text);
      },
      stopFlag: () => ({ close: () => undefined }),
      measureVolume: () => Promise.reject(new Error(text)),
      openSource: () => {
        throw new TypeError("wrong argument");
      },
    });
    expect(() => addon.volumeFacts("/")).toThrow(PvferryError);
    await expect(addon.measureVolume("/", true, [], addon.stopFlag())).rejects.toMatchObject({
      code: 32,
    });
    expect(() => addon.openSource({} as never, () => undefined)).toThrow(TypeError);
  });
});
