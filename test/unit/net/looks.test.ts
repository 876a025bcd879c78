import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

import { describe, expect, it } from "vitest";

import { askForPage, type HttpAnswer } from "../../../src/net/http-look.ts";
import { lookAtCertificate } from "../../../src/net/tls-look.ts";
import { listenAnywhere } from "../../bed/ports.ts";

const { signal } = new AbortController();
const limits = { timeoutMs: 200, signal };

/** A server for one look; rejects when what looked has not closed its connection. */
async function lookedAt<T>(
  serve: (client: Socket) => void,
  look: (stream: Socket) => Promise<T>,
): Promise<T> {
  const server: Server = createServer((client) => {
    client.on("error", () => undefined);
    client.resume();
    serve(client);
  });
  const stream = connect(await listenAnywhere(server), "127.0.0.1");
  stream.on("error", () => undefined);
  await once(stream, "connect");
  stream.pause();
  const seen = await look(stream);
  server.close();
  await once(server, "close");
  return seen;
}

const answering =
  (text: string) =>
  (client: Socket): void =>
    void client.once("data", () => client.write(text));

const certificate = async (stream: Socket): Promise<unknown> =>
  lookAtCertificate(stream, { serverName: null, ca: "", ...limits });
const page = async (stream: Socket): Promise<HttpAnswer | null> =>
  askForPage(stream, { host: "h", ...limits });

describe("a look at who answers", () => {
  it.each([
    ["says nothing", () => undefined],
    ["closes at once", (client: Socket) => client.end()],
    ["resets", (client: Socket) => void client.once("data", () => client.resetAndDestroy())],
    ["speaks something else", answering("SSH-2.0-OpenSSH_9.2\r\n")],
  ])("comes to nothing, and does no harm, when it %s", async (_, serve) => {
    expect(await lookedAt(serve, certificate)).toBeNull();
    expect(await lookedAt(serve, page)).toBeNull();
  });

  it.each([
    ["HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\n\r\n<h1>It works</h1>", '200 OK: "It works"', false],
    ["HTTP/1.1 426 Upgrade Required\r\n\r\n", "426 Upgrade Required", true],
    ["HTTP/1.1 400 Bad Request\r\nUpgrade: websocket\r\n\r\n", "400 Bad Request", true],
    ["HTTP/1.1 404 Not Found\r\nUpgrade: h2,h2c\r\n\r\n", "404 Not Found", false],
    [
      'HTTP/1.1 400 Bad Request\r\n\r\n{\n "message": "Upgrade request required"\n}\n',
      '400 Bad Request: "{ "message": "Upgrade request required" }"',
      true,
    ],
  ])("reads a page: %j", async (text, said, passesOnlyUpgrades) => {
    expect(await lookedAt(answering(text), page)).toEqual({ said, passesOnlyUpgrades });
  });
});
