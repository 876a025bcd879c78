/** A socket that Node connected goes on natively: nothing is lost, and releasing it sends no FIN. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { afterEach, describe, expect, it } from "vitest";

import { loadAddon } from "../../src/native/addon.ts";
import type { Connection } from "../../src/native/types.ts";
import { toTlsIdentity } from "../../src/session/tls-identity.ts";
import { dialLocally } from "../fixtures/local-path.ts";
import { testTls } from "../fixtures/test-pki.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Passes bytes on unchanged and keeps a diary of what the dialler's side did. */
async function relayTo(port: number): Promise<{ port: number; diary: string[] }> {
  const diary: string[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (client: Socket) => {
    const upstream = connect(port, "127.0.0.1");
    client.pipe(upstream).pipe(client);
    client.on("end", () => diary.push("FIN"));
    client.on("close", () => diary.push("close"));
    client.on("error", () => diary.push("RST"));
    upstream.on("error", () => client.destroy());
    closers.push(() => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, diary };
}

function collect(connection: Connection): { bytes: Buffer[]; ended: Promise<string | null> } {
  const bytes: Buffer[] = [];
  const ended = new Promise<string | null>((resolve) => {
    connection.start((chunk, error) => {
      if (chunk === null) resolve(error);
      else bytes.push(Buffer.from(chunk));
    });
  });
  return { bytes, ended };
}

describe("a dialled socket handed to the native core", () => {
  it("carries all bytes both ways after Node let go of it, and no FIN is sent", async () => {
    const addon = loadAddon();
    const accepted = Promise.withResolvers<Connection>();
    const listener = addon.listen(
      {
        host: "127.0.0.1",
        port: 0,
        tls: toTlsIdentity(await testTls("target")),
        handshakeTimeoutMs: 5_000,
        maxUnauthenticated: 4,
        maxUnbound: 4,
      },
      accepted.resolve,
    );
    closers.push(() => listener.close());
    const relay = await relayTo(listener.port());
    const stream = await dialLocally(relay.port);
    const tls = toTlsIdentity(await testTls("source"));
    const connecting = addon.connect(stream.fd, {
      tls,
      serverName: null,
      peerName: null,
      timeoutMs: 5_000,
      protocol: "control",
    });
    stream.release();
    stream.release();
    const dialled = await connecting;
    const listening = await accepted.promise;
    await pause(200);
    expect(relay.diary).toEqual([]);

    const there = collect(listening);
    const back = collect(dialled);
    const big = Buffer.alloc(3_000_000, "pvferry ");
    await Promise.all([dialled.send(big, 5_000), listening.send(big, 5_000)]);
    await expect.poll(() => Buffer.concat(there.bytes).equals(big), { timeout: 5_000 }).toBe(true);
    await expect.poll(() => Buffer.concat(back.bytes).equals(big), { timeout: 5_000 }).toBe(true);
    expect(relay.diary).toEqual([]);

    dialled.close();
    expect(await there.ended).toBeNull();
    listening.close();
    await expect.poll(() => relay.diary).toContain("FIN");
  });
});
