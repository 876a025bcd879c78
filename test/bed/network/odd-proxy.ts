/** A proxy for CONNECT that answers as it is told, however odd that is: in this process, on 127.0.0.1. Needs no root. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { listenAnywhere } from "../ports.ts";
import type { OddAnswer } from "./odd-answers.ts";

export interface OddProxyOptions {
  /** For every request, or drawn up for one: the header of the request, and how many came before it. */
  readonly answer: OddAnswer | ((request: string, earlier: number) => OddAnswer);
  /** A port of this machine to which all tunnels lead; otherwise what was asked for. */
  readonly tunnelTo?: number;
}

export interface OddProxy extends AsyncDisposable {
  readonly port: number;
  /** The headers of all requests so far. */
  readonly requests: () => readonly string[];
  /** Connections that are open now. */
  readonly open: () => number;
  /** Breaks them all. */
  readonly breakAll: () => void;
}

const END_OF_HEADER = "\r\n\r\n";
/** How much of an endless answer goes out at most: a client that reads on and on is to be seen. */
const ENDLESS_BYTES = 64 * 1024 * 1024;

interface Request {
  readonly header: string;
  /** What came after it in one piece with it. */
  readonly rest: Buffer;
}

/** Null when the client leaves before it has said what it wants. */
async function requestOn(client: Socket): Promise<Request | null> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf(END_OF_HEADER);
    if (end >= 0) {
      const after = end + END_OF_HEADER.length;
      return { header: bytes.toString("latin1", 0, end), rest: bytes.subarray(after) };
    }
    const chunk = client.read() as Buffer | null;
    if (chunk !== null) bytes = Buffer.concat([bytes, chunk]);
    else if (client.readableEnded || client.destroyed) return null;
    else await Promise.race([once(client, "readable"), once(client, "close")]);
  }
}

async function write(client: Socket, bytes: string | Buffer): Promise<void> {
  if (client.destroyed) return;
  if (!client.write(bytes)) {
    await Promise.race([once(client, "drain"), once(client, "close")]).catch(() => undefined);
  }
}

async function say(client: Socket, { says, pauseMs = 0 }: OddAnswer): Promise<void> {
  for (const [index, piece] of says.entries()) {
    if (index > 0) await sleep(pauseMs);
    await write(client, piece);
  }
}

async function sayWithoutEnd(client: Socket, piece: string | Buffer): Promise<void> {
  const many = Buffer.concat(Array.from({ length: 1000 }, () => Buffer.from(piece)));
  for (let sent = 0; sent < ENDLESS_BYTES && !client.destroyed; sent += many.length) {
    await write(client, many);
  }
}

function farEndOf({ header }: Request, tunnelTo: number | undefined): Socket {
  if (tunnelTo !== undefined) return connect(tunnelTo, "127.0.0.1");
  const [, host = "", port] = /^CONNECT \[?([^\s\]]+)\]?:(\d+) /.exec(header) ?? [];
  return connect(Number(port), host);
}

/** Connects first, so that an answer may have the far end's first bytes behind it. */
async function tunnel(
  client: Socket,
  request: Request,
  far: Socket,
  answer: OddAnswer,
): Promise<void> {
  far.on("error", () => client.destroy());
  far.on("close", () => client.destroy());
  client.on("close", () => far.destroy());
  await once(far, "connect");
  if (answer.withFirstBytes ?? false) {
    const first = (await once(far, "data")) as [Buffer];
    far.pause();
    await write(client, Buffer.concat([Buffer.from(answer.says.join("")), ...first]));
  } else {
    await say(client, answer);
  }
  far.write(request.rest);
  client.pipe(far);
  far.pipe(client);
}

async function serve(
  client: Socket,
  request: Request,
  far: () => Socket,
  answer: OddAnswer,
): Promise<void> {
  if (answer.next === "tunnel") return tunnel(client, request, far(), answer);
  await say(client, answer);
  if (answer.next === "close") client.end();
  if (answer.next === "reset") client.resetAndDestroy();
  if (answer.next === "go on") await sayWithoutEnd(client, answer.says.at(-1) ?? "");
  client.resume();
}

export async function oddProxy({ answer, tunnelTo }: OddProxyOptions): Promise<OddProxy> {
  const clients = new Set<Socket>();
  const requests: string[] = [];
  const take = async (client: Socket): Promise<void> => {
    const request = await requestOn(client);
    if (request === null) return;
    requests.push(request.header);
    const chosen =
      typeof answer === "function" ? answer(request.header, requests.length - 1) : answer;
    await serve(client, request, () => farEndOf(request, tunnelTo), chosen);
  };
  const server = createServer((client) => {
    clients.add(client);
    client.on("close", () => clients.delete(client));
    client.on("error", () => client.destroy());
    take(client).catch(() => client.destroy());
  });
  const breakAll = (): void => clients.forEach((client) => client.resetAndDestroy());
  return {
    port: await listenAnywhere(server),
    requests: () => [...requests],
    open: () => clients.size,
    breakAll,
    [Symbol.asyncDispose]: async () => {
      breakAll();
      server.close();
      await once(server, "close");
    },
  };
}
