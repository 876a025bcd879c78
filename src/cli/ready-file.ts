/**
 * Where this side can be reached, in a file, for as long as somebody listens there: for a pod's readiness, for scripts, and
 * for the other side's --to-file.
 */

import { proxyText, type Proxy } from "../config/proxy.ts";
import { hostPortText, type HostPort } from "../config/value-kinds.ts";
import { PvferryError } from "../core/errors.ts";
import { ownAddresses } from "../host/own-addresses.ts";
import type { RemoteForward } from "../net/remote-forward.ts";
import { WholeFile } from "./whole-file.ts";

/** docs/flags.md promises it. */
interface Ready {
  /** What the other side may give to --to, if nothing translates addresses in between. */
  readonly endpoint: string;
  /** What it needs for that besides. */
  readonly via: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly string[];
}

const EVERY_ADDRESS = new Set(["::", "0.0.0.0"]);
const LOOPBACK = /^(?:127\.|::1$|localhost$)/;

export class ReadyFile implements Disposable {
  readonly #file: WholeFile | null;

  /** An older one is removed. Throws when it could not be written. */
  constructor(file: string | null) {
    this.#file = file === null ? null : new WholeFile(file, "write the ready file");
    this.#file?.prepare();
  }

  /** Throws (2) when there will be nothing to write into it. */
  refuse(): void {
    if (this.#file === null) return;
    throw new PvferryError({
      code: 2,
      message: "--ready-file says where this side listens, and this side dials.",
      next: "Give it to the side that listens, or leave it out.",
    });
  }

  /** This machine listens. */
  listens({ host, port }: HostPort): void {
    const addresses = EVERY_ADDRESS.has(host) ? ownAddresses() : [host];
    this.#write({ host, port, addresses, via: [] });
  }

  /** The same forward, which is told of here: a bastion listens from time to time. */
  follows(forward: RemoteForward, bastion: Proxy, { host, port }: HostPort): RemoteForward {
    const addresses = [EVERY_ADDRESS.has(host) ? bastion.host : host];
    const via = LOOPBACK.test(host) ? [proxyText(bastion)] : [];
    return {
      text: forward.text,
      open: (calls) =>
        forward.open({
          ...calls,
          listening: (text) => {
            this.#write({ host, port, addresses, via });
            calls.listening(text);
          },
          waiting: (what) => {
            this.#file?.remove();
            calls.waiting(what);
          },
        }),
    };
  }

  [Symbol.dispose](): void {
    this.#file?.remove();
  }

  #write(reachable: Omit<Ready, "endpoint">): void {
    const [host = reachable.host] = reachable.addresses;
    const ready: Ready = { endpoint: hostPortText({ host, port: reachable.port }), ...reachable };
    this.#file?.write(`${JSON.stringify(ready)}\n`);
  }
}
