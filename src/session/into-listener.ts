/** Hands streams that came in elsewhere, on a bastion, to a listener, as if it had accepted them. */

import type { Duplex } from "node:stream";

import type { Addon, Listener } from "../native/types.ts";
import { handOver } from "../net/hand-over.ts";

/** Takes each stream over; one that ends before it says anything is forgotten. */
export function intoListener(
  addon: Addon,
  listener: Listener,
): (stream: Duplex, peerName: string) => void {
  return (stream, peerName) => {
    const handed = handOver(stream, peerName, () => addon.socketPair());
    const admitted = listener.admit(handed.fd, handed.peerName).catch(() => false);
    void admitted.finally(() => handed.release());
  };
}
