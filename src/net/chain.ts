/** From a list of proxies, near to far, to one dialer that goes through all of them. */

import type { Proxy } from "../config/proxy.ts";
import type { Dialer } from "./dialer.ts";
import { directDialer } from "./direct.ts";
import type { SshTrust } from "./ssh.ts";

/** What is known about proxies beyond their addresses. */
export interface ProxyTrust {
  /** PEM: trusted for https proxies besides the well-known CAs. */
  readonly ca: string | null;
  readonly ssh: SshTrust;
}

export function dialerThrough(proxies: readonly Proxy[], trust: ProxyTrust): Dialer {
  return proxies.reduce((through, proxy) => dialerFor(proxy, through, trust), directDialer);
}

/** Each kind is loaded when it is first used: who dials directly needs none of their libraries. */
function dialerFor(proxy: Proxy, through: Dialer, trust: ProxyTrust): Dialer {
  return { dial: async (request) => (await load(proxy, through, trust)).dial(request) };
}

async function load(proxy: Proxy, through: Dialer, trust: ProxyTrust): Promise<Dialer> {
  switch (proxy.scheme) {
    case "http":
      return (await import("./http-connect.ts")).httpConnectDialer(proxy, through);
    case "https":
      return (await import("./https-connect.ts")).httpsConnectDialer(proxy, through, trust.ca);
    case "socks5":
    case "socks5h":
      return (await import("./socks.ts")).socksDialer(proxy, through);
    case "ssh":
      return (await import("./ssh.ts")).sshDialer(proxy, through, trust.ssh);
  }
}
