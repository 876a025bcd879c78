import { existsSync } from "node:fs";

/** The file is there exactly when the kernel has IPv6, whether or not an interface has an address. */
export function hasIpv6(): boolean {
  return existsSync("/proc/net/if_inet6");
}
