/** Streams of Node's, handed to whoever works with descriptors: plain sockets as they are, all others over a socket pair. */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, createServer, Socket, type AddressInfo } from "node:net";
import { duplexPair, type Duplex } from "node:stream";

import { describe, expect, it } from "vitest";

import { loadAddon } from "../../src/native/addon.ts";
import type { DialedStream } from "../../src/net/dialer.ts";
import { handOver } from "../../src/net/hand-over.ts";
import { randomBytes } from "../volume/random-bytes.ts";

/** Together far more than pipes and sockets hold. */
const CHUNK_BYTES = 65_536;
const CHUNKS_MOST = 1_000;

async function drains(stream: Duplex): Promise<boolean> {
  const signal = AbortSignal.timeout(300);
  return once(stream, "drain", { signal }).then(
    () => true,
    () => false,
  );
}

const pair = (): readonly number[] => loadAddon().socketPair();

/** The descriptor's own reader and writer: the native core's place. */
function takeOver(stream: DialedStream): Socket {
  return new Socket({ fd: stream.fd, readable: true, writable: true, allowHalfOpen: true });
}

/** Unlike node:stream/consumers, leaves the other direction open. */
async function untilEnd(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => void chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

function bridgedPair(): { readonly near: Socket; readonly far: Duplex } {
  const [inner, far] = duplexPair();
  inner.pause();
  return { near: takeOver(handOver(inner, "there", pair)), far };
}

describe("a stream without a descriptor", () => {
  it("carries megabytes both ways, and each end by itself", async () => {
    const { near, far } = bridgedPair();
    const there = randomBytes("there").bytes(5_000_000);
    const back = randomBytes("back").bytes(3_000_000);
    near.end(there);
    expect((await untilEnd(far)).equals(there)).toBe(true);
    far.end(back);
    expect((await untilEnd(near)).equals(back)).toBe(true);
  });

  it("stops reading when nobody takes what it has read", async () => {
    const { near, far } = bridgedPair();
    near.pause();
    let chunks = 0;
    for (; chunks < CHUNKS_MOST; chunks += 1) {
      if (!far.write(Buffer.alloc(CHUNK_BYTES)) && !(await drains(far))) break;
    }
    expect(chunks).toBeLessThan(CHUNKS_MOST);
    near.resume();
    await once(far, "drain");
    far.destroy();
    near.destroy();
  });

  it("brings what was written before its other end broke", async () => {
    const { near, far } = bridgedPair();
    const received = untilEnd(near);
    far.write("last words", () => far.destroy());
    expect(String(await received)).toBe("last words");
    near.destroy();
  });
});

describe("a plain socket", () => {
  it("is handed over itself, unless it has been read from", async () => {
    const accepted: Socket[] = [];
    const server = createServer((socket) => {
      accepted.push(socket);
      socket.on("error", () => undefined);
      socket.write("early");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;

    const untouched = connect(port, "127.0.0.1").pause();
    await once(untouched, "connect");
    const direct = handOver(untouched, null, pair);
    expect(Reflect.get(Reflect.get(untouched, "_handle") as object, "fd")).toBe(direct.fd);
    direct.release();
    direct.release();

    const read = connect(port, "127.0.0.1");
    const [early] = (await once(read, "data")) as [Buffer];
    read.pause();
    read.unshift(early);
    const near = takeOver(handOver(read, null, pair));
    let heard = "";
    near.on("data", (chunk: Buffer) => (heard += String(chunk)));
    await expect.poll(() => heard).toBe("early");
    // What comes after it comes as well: it is Node that goes on reading then.
    for (const socket of accepted) socket.write(" and late");
    await expect.poll(() => heard).toBe("early and late");
    near.destroy();
    server.close();
  });
});
