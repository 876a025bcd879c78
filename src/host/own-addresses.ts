/** Where others may reach this machine, as far as it knows itself: what translates addresses on the way, it does not know. */

import { networkInterfaces } from "node:os";

const LINK_LOCAL = /^(?:fe[89ab][\da-f]:|169\.254\.)/i;

/** IPv4 first; loopback alone where there is nothing else. */
export function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outward = all.filter(({ internal, address }) => !internal && !LINK_LOCAL.test(address));
  const own = (outward.length > 0 ? outward : all).map(({ address }) => address);
  return own.toSorted((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
}
