/** What stands between this side and the next one: the grammar of --via. Pure; nothing here prints a password. */

import { hostPortText } from "./value-kinds.ts";

export type ProxyScheme = "http" | "https" | "socks5" | "socks5h" | "ssh";

export interface Proxy {
  readonly scheme: ProxyScheme;
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Decoded. */
  readonly user: string | null;
  readonly password: string | null;
}

/** Where a URL names none: those of the schemes themselves, and of RFC 1928, section 3. */
const PORTS: Readonly<Record<ProxyScheme, number>> = {
  http: 80,
  https: 443,
  socks5: 1080,
  socks5h: 1080,
  ssh: 22,
};

/** undefined when the text is no URL of a proxy. A path, which some tools append, is only a slash. */
export function parseProxy(text: string): Proxy | undefined {
  const parts = /^(https?|socks5h?|ssh):\/\/(?:(.*)@)?([^@/?#]+)\/?$/.exec(text.trim());
  if (parts === null) return undefined;
  const [, scheme = "", userinfo, authority = ""] = parts;
  const url = URL.parse(`http://${authority}/`);
  if (url === null || url.hostname === "" || url.username !== "") return undefined;
  // The parser leaves out a port that is its own scheme's default.
  const explicit = /:(\d+)$/.exec(authority)?.[1];
  const port = explicit === undefined ? PORTS[scheme as ProxyScheme] : Number(explicit);
  if (port === 0) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { scheme: scheme as ProxyScheme, host, port, ...credentials(userinfo) };
}

/**
 * Percent-encoded where that is possible (RFC 3986, 3.2.1); as it stands where it is not, so that a password with a bare
 * percent sign or an at sign, as people write them, works as well.
 */
function credentials(userinfo: string | undefined): Pick<Proxy, "user" | "password"> {
  if (userinfo === undefined) return { user: null, password: null };
  const colon = userinfo.indexOf(":");
  const user = colon === -1 ? userinfo : userinfo.slice(0, colon);
  return {
    user: decoded(user),
    password: colon === -1 ? null : decoded(userinfo.slice(colon + 1)),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** As it is typed, without user and password. */
export function proxyText({ scheme, host, port }: Proxy): string {
  return `${scheme}://${hostPortText({ host, port })}`;
}
