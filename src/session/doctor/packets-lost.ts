/** A black hole for full packets, in words (RFC 2923, 2.1): the one failure in which everything small works. */

import { PvferryError } from "../../core/errors.ts";

export function packetsLost(peer: string, cause?: unknown): PvferryError {
  return new PvferryError({
    code: 20,
    message: `Small packets reach ${peer} and come back, packets of full size are lost on the way without a word`,
    next:
      "Something on the way (a tunnel, a VPN, an overlay network) carries only smaller packets: lower the MTU of this side's " +
      'interface, or have ICMP "fragmentation needed" and "packet too big" let through there.',
    cause,
  });
}
