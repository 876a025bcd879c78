/**
 * From a stream of Node's to a descriptor for the native core: its own, where it is a plain socket; one end of a socket
 * pair, with Node carrying the bytes to the other, where it has none (TLS, a channel of SSH) or has been read from.
 */

import { closeSync } from "node:fs";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

import type { DialedStream } from "./dialer.ts";

/** Gives two connected descriptors, both of them the caller's to close. */
export type SocketPair = () => readonly number[];

/** `stream` is paused, and belongs to the result from now on. */
export function handOver(stream: Duplex, peerName: string | null, pair: SocketPair): DialedStream {
  const fd = ownDescriptor(stream);
  if (fd === null) return bridged(stream, peerName, pair);
  // destroy() closes without shutdown(2): no FIN is sent as long as a duplicate is open.
  return { fd, peerName, release: () => void stream.destroy() };
}

/** null when it has none, or when bytes have been read that its next reader would miss. */
function ownDescriptor(stream: Duplex): number | null {
  // A TLSSocket is one too, and the only one that is encrypted; asking for its class would load Node's TLS at every start.
  if (!(stream instanceof Socket) || "encrypted" in stream) return null;
  const handle = handleOf(stream);
  if (handle === null || stream.readableLength > 0) return null;
  // A dialer that has read from it has left it paused; the kernel's side of the reading goes on until it is stopped. Nothing
  // can come in between, and whoever goes on reading by Node must not find it stopped.
  handle.readStop();
  return handle.fd;
}

interface Handle {
  readonly fd: number;
  readStop(): void;
}

/** Node keeps the descriptor in the socket's handle, undocumented but stable since its first releases. */
function handleOf(socket: Socket): Handle | null {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return null;
  const isWhole = "fd" in handle && typeof handle.fd === "number" && "readStop" in handle;
  return isWhole ? (handle as Handle) : null;
}

/** Lasts until both directions have ended or either side breaks; each waits for the other's reader. */
function bridged(stream: Duplex, peerName: string | null, pair: SocketPair): DialedStream {
  const [near = -1, far = -1] = pair();
  const local = new Socket({ fd: near, readable: true, writable: true, allowHalfOpen: true });
  carry(stream, local);
  carry(local, stream);
  let open = true;
  const release = (): void => {
    if (open) closeSync(far);
    open = false;
  };
  return { fd: far, peerName, release };
}

/** pipe() passes on the end; this passes on every other way to go, after what has been read before it. */
function carry(from: Duplex, to: Duplex): void {
  from.pipe(to);
  // A break is told by the close that follows it.
  from.on("error", () => undefined);
  from.once("close", () => {
    if (to.writableFinished) return void to.destroy();
    to.once("finish", () => to.destroy());
    to.end();
  });
}
