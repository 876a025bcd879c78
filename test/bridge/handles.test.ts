/** Native handles: closed twice, opened in numbers, and left open by a process that wants to end. */

import { Buffer } from "node:buffer";
import { execFile } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { describe, expect, it } from "vitest";

import { loadAddon } from "../../src/native/addon.ts";
import type { Connection, Listener } from "../../src/native/types.ts";
import { toTlsIdentity } from "../../src/session/tls-identity.ts";
import { scratch } from "../bed/scratch.ts";
import { connectLocally } from "../fixtures/local-path.ts";
import { testTls } from "../fixtures/test-pki.ts";

const run = promisify(execFile);
const script = fileURLToPath(new URL("../fixtures/leave-open.ts", import.meta.url));

async function listen(onControl: (connection: Connection) => void): Promise<Listener> {
  return loadAddon().listen(
    {
      host: "127.0.0.1",
      port: 0,
      tls: toTlsIdentity(await testTls("target")),
      handshakeTimeoutMs: 5_000,
      maxUnauthenticated: 4,
      maxUnbound: 4,
    },
    onControl,
  );
}

/** What this process has open in a folder, as the kernel tells it. */
function openBelow(folder: string): string[] {
  const links = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return links.filter((link) => link.startsWith(folder));
}

describe("a process that lets go of a native handle without closing it", () => {
  it.each(["listener", "connection", "started connection", "source session", "target session"])(
    "ends by itself: %s",
    async (what) => {
      const identities = {
        source: toTlsIdentity(await testTls("source")),
        target: toTlsIdentity(await testTls("target")),
      };
      using place = scratch();
      const volume = place.directory("volume");
      const { stdout } = await run(
        process.execPath,
        [script, what, JSON.stringify(identities), volume],
        { timeout: 20_000 },
      );
      expect(stdout).toBe("made\n");
    },
  );
});

describe("native handles", () => {
  it("may be closed twice", async () => {
    const accepted = Promise.withResolvers<Connection>();
    const listener = await listen(accepted.resolve);
    const dialled = await connectLocally(listener.port());
    const connection = await accepted.promise;
    for (const handle of [dialled, dialled, connection, connection, listener, listener]) {
      handle.close();
    }
    await expect(dialled.send(new Uint8Array(1), 1_000)).rejects.toMatchObject({ code: 20 });
  });

  it("of a target session hold nothing of the volume once it is gone", async () => {
    const listener = await listen(() => undefined);
    using place = scratch();
    const volume = place.directory("volume");
    const session = loadAddon().openTarget(
      {
        volume,
        transfer: "t/v",
        compare: null,
        discardJournal: false,
        checkpointMs: 0,
        lanes: 1,
        secret: Buffer.alloc(32).toString("base64"),
        existing: "refuse",
        maxDelete: { entries: null, percent: null },
        allowEmptySource: false,
        inplace: false,
        rules: [],
        verify: "stream",
        idleTimeoutMs: 15_000,
        keepAliveMs: 5_000,
      },
      listener,
      () => undefined,
    );
    expect(openBelow(volume)).not.toEqual([]);
    session.close();
    await session.gone();
    expect(openBelow(volume)).toEqual([]);
    session.close();
    listener.close();
  });

  it("work in numbers", async () => {
    const accepted: Connection[] = [];
    const listeners = await Promise.all(
      Array.from({ length: 20 }, () => listen((connection) => accepted.push(connection))),
    );
    const dialled = await Promise.all(listeners.map((listener) => connectLocally(listener.port())));
    await expect.poll(() => accepted.length).toBe(20);
    for (const handle of [...dialled, ...accepted, ...listeners]) handle.close();
  });

  it("free their port at once", async () => {
    const listener = await listen(() => undefined);
    const port = listener.port();
    listener.close();
    const again = loadAddon().listen(
      {
        host: "127.0.0.1",
        port,
        tls: toTlsIdentity(await testTls("target")),
        handshakeTimeoutMs: 5_000,
        maxUnauthenticated: 4,
        maxUnbound: 4,
      },
      () => undefined,
    );
    expect(again.port()).toBe(port);
    again.close();
  });

  it("refuse a port that is in use with 33", async () => {
    const listener = await listen(() => undefined);
    const tls = toTlsIdentity(await testTls("target"));
    const options = {
      host: "127.0.0.1",
      port: listener.port(),
      tls,
      handshakeTimeoutMs: 5_000,
      maxUnauthenticated: 4,
      maxUnbound: 4,
    };
    expect(() => loadAddon().listen(options, () => undefined)).toThrow(
      expect.objectContaining({ code: 33 }),
    );
    listener.close();
  });
});
