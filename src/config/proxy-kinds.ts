/** Values of the flags about proxies. */

import { parseProxy, type Proxy } from "./proxy.ts";
import { listenAddress, parseHostPort, type HostPort, type ValueKind } from "./value-kinds.ts";

/** "env": whatever the usual variables say. */
export type Via = Proxy | "env";

export const VIA: ValueKind<Via> = {
  expects:
    "the URL of a proxy, SCHEME://[USER[:PASSWORD]@]HOST[:PORT] with http, https, socks5, socks5h or ssh as SCHEME, or env",
  example: "http://proxy.example:3128",
  parse: (text) => (text === "env" ? "env" : parseProxy(text)),
};

/** Where to listen: here, or on a bastion. */
export interface ListenAddress extends HostPort {
  /** null: on this machine. */
  readonly bastion: Proxy | null;
}

/** "6443", "127.0.0.1:0", "ssh://core@bastion:22/0.0.0.0:6443". */
export function listenKind(anyHost: string, defaultPort: number): ValueKind<ListenAddress> {
  const here = listenAddress(anyHost, defaultPort);
  return {
    expects: `${here.expects}, or ssh://USER@BASTION[:PORT]/HOST:PORT`,
    example: here.example,
    parse: (text) => {
      if (text.startsWith("ssh://")) return onBastion(text);
      const address = here.parse(text);
      return address && { ...address, bastion: null };
    },
  };
}

/** What follows the last slash is the bastion's to listen on; a password may hold slashes too. */
function onBastion(text: string): ListenAddress | undefined {
  const slash = text.lastIndexOf("/");
  const bastion = parseProxy(text.slice(0, slash));
  const address = parseHostPort(text.slice(slash + 1));
  return bastion && address && { ...address, bastion };
}

/** SHA-256 in base64 without padding: 43 characters. */
export const FINGERPRINT: ValueKind<string> = {
  expects: "a fingerprint as ssh-keygen -l prints it, SHA256: and 43 characters",
  example: "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDCGDGHLQvT9u0v3kM",
  parse: (text) => (/^SHA256:[A-Za-z\d+/]{43}$/.test(text) ? text : undefined),
};
