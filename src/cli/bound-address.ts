/** Where a listener listens: what was asked for, as far as the kernel has it. */

import { DEFAULTS } from "../config/limits.ts";
import type { HostPort } from "../config/value-kinds.ts";
import { hasIpv6 } from "../host/ipv6.ts";

/** Every address means IPv4's alone where the kernel has no IPv6. */
export function boundAddress(asked: HostPort | null): HostPort {
  const listen = asked ?? { host: DEFAULTS.listenHost, port: DEFAULTS.listenPort };
  return listen.host === DEFAULTS.listenHost && !hasIpv6()
    ? { ...listen, host: "0.0.0.0" }
    : listen;
}
