/** What an HTTP server says to somebody who comes as a browser does. A look only: nothing about this side is shown. */

import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

import { toPvferryError, type PvferryError } from "../core/errors.ts";
import { waitFor } from "../core/waiting.ts";
import { pageOf, passesOnlyUpgrades, statusText } from "./http-page.ts";

export interface HttpAnswer {
  /** Status, reason, and the first line of the page. */
  readonly said: string;
  readonly passesOnlyUpgrades: boolean;
}

export interface AskOptions {
  readonly host: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Takes `stream`, a fresh connection or TLS over one, and closes it. null when what answers does not speak HTTP. */
export async function askForPage(stream: Duplex, options: AskOptions): Promise<HttpAnswer | null> {
  const { host, timeoutMs: deadlineMs, signal } = options;
  const asking = httpRequest({
    path: "/",
    headers: { host, connection: "close" },
    createConnection: () => stream,
    insecureHTTPParser: true,
  });
  asking.once("socket", (socket) => socket.resume());
  const answered = once(asking, "response");
  asking.end();
  const tooLate = (): PvferryError => toPvferryError("late");
  try {
    const [answer] = (await waitFor(answered, { deadlineMs, signal, tooLate })) as [
      IncomingMessage,
    ];
    const page = await pageOf(answer);
    return {
      said: statusText(answer, page),
      passesOnlyUpgrades: passesOnlyUpgrades(answer, page),
    };
  } catch {
    signal.throwIfAborted();
    return null;
  } finally {
    // One that ends later than anybody listens.
    asking.on("error", () => undefined);
    asking.destroy();
    stream.destroy();
  }
}
