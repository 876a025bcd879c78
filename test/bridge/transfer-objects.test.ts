/** What crosses the boundary is complete: a missing property throws and is named, null is not undefined. */

import { describe, expect, it } from "vitest";

import { loadAddon } from "../../src/native/addon.ts";
import type { Addon } from "../../src/native/types.ts";

const addon: Addon = loadAddon();
const tls = { ca: "", certificate: "", key: "", peerUri: "pvferry://t/source" };
const secret = Buffer.alloc(32).toString("base64");

/** Each call with options that lack nothing; values need not make sense, since shape is judged first. */
const calls = {
  listen: {
    options: {
      host: "127.0.0.1",
      port: 0,
      tls,
      handshakeTimeoutMs: 1_000,
      maxUnauthenticated: 1,
      maxUnbound: 1,
    },
    call: (options: never) => addon.listen(options, () => undefined),
  },
  connect: {
    options: { tls, serverName: null, peerName: null, timeoutMs: 1_000, protocol: "control" },
    call: (options: never) => addon.connect(0, options),
  },
  digestVolume: {
    options: { volume: "/no/such", threads: 1, oneFileSystem: true, selinux: "drop", rules: [] },
    call: (options: never) => addon.digestVolume(options, () => undefined, null, addon.stopFlag()),
  },
  openSource: {
    options: {
      volume: "/no/such",
      pass: "cutover",
      looks: false,
      lanes: 1,
      scanThreads: 1,
      compress: "auto",
      oneFileSystem: true,
      selinux: "drop",
      rules: [],
      rereads: 1,
      verify: "stream",
      compare: false,
      secret,
      tls,
      serverName: null,
      bwlimit: null,
      handshakeTimeoutMs: 10_000,
      idleTimeoutMs: 15_000,
      keepAliveMs: 5_000,
    },
    call: (options: never) => addon.openSource(options, () => undefined),
  },
  openTarget: {
    options: {
      volume: "/no/such",
      transfer: "t/v",
      compare: null,
      discardJournal: false,
      checkpointMs: 10_000,
      lanes: 1,
      secret,
      existing: "refuse",
      maxDelete: { entries: null, percent: null },
      allowEmptySource: false,
      inplace: false,
      rules: [],
      verify: "stream",
      idleTimeoutMs: 15_000,
      keepAliveMs: 5_000,
    },
    // Shape is judged before the listener is looked at.
    call: (options: never) => addon.openTarget(options, {} as never, () => undefined),
  },
} as const;

/** What the call throws or rejects with. */
async function failureOf(name: keyof typeof calls, options: object): Promise<unknown> {
  try {
    await calls[name].call(options as never);
  } catch (error) {
    return error;
  }
  return null;
}

function without(options: object, property: string): object {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name !== property));
}

const properties = Object.entries(calls).flatMap(([name, { options }]) =>
  Object.keys(options).map((property) => [name as keyof typeof calls, property] as const),
);

describe("a transfer object", () => {
  it.each(properties)("of %s without %s is refused by name", async (name, property) => {
    const error = await failureOf(name, without(calls[name].options, property));
    expect(error).toMatchObject({ code: 1, message: expect.stringContaining(property) as unknown });
  });

  it.each(properties)("of %s with an undefined %s is refused by name", async (name, property) => {
    const error = await failureOf(name, { ...calls[name].options, [property]: undefined });
    expect(error).toMatchObject({ code: 1, message: expect.stringContaining(property) as unknown });
  });

  it("names the path of what is missing further in", async () => {
    const error = await failureOf("listen", {
      ...calls.listen.options,
      tls: without(tls, "peerUri"),
    });
    expect(error).toMatchObject({ message: expect.stringMatching(/tls.*peerUri/) as unknown });
  });

  it.each(Object.keys(calls) as (keyof typeof calls)[])(
    "of %s with a property too many is refused",
    async (name) => {
      const error = await failureOf(name, { ...calls[name].options, extra: 1 });
      expect(error).toMatchObject({
        code: 1,
        message: expect.stringContaining("extra") as unknown,
      });
    },
  );

  it("takes null where null is meant, and nowhere else", async () => {
    const given = await failureOf("connect", calls.connect.options);
    expect(given).not.toMatchObject({ message: expect.stringContaining("serverName") as unknown });
    const wrong = await failureOf("connect", { ...calls.connect.options, timeoutMs: null });
    expect(wrong).toMatchObject({ message: expect.stringContaining("timeoutMs") as unknown });
  });

  it("takes every limit of deletions that the flag does", async () => {
    const told = async (maxDelete: unknown): Promise<unknown> =>
      failureOf("openTarget", { ...calls.openTarget.options, maxDelete });
    const complaint = { message: expect.stringContaining("maxDelete") as unknown };
    for (const [entries, percent] of [
      [999_999_999_999_999, null],
      [0, null],
      [null, 0.25],
      [null, 100],
    ]) {
      expect(await told({ entries, percent })).not.toMatchObject(complaint);
    }
    for (const entries of [-1, 1.5, "1"]) {
      expect(await told({ entries, percent: null })).toMatchObject(complaint);
    }
  });

  it.each([-1, 65_536, 1.5, "80"])("refuses the port %j", async (port) => {
    const error = await failureOf("listen", { ...calls.listen.options, port });
    expect(error).toMatchObject({ code: 1, message: expect.stringContaining("port") as unknown });
  });
});
