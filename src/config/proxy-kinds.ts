/** Values of the flags about proxies. */

import { parseProxy, type Proxy } from "./proxy.ts";
import type { ValueKind } from "./value-kinds.ts";

/** "env": whatever the usual variables say. */
export type Via = Proxy | "env";

export const VIA: ValueKind<Via> = {
  expects:
    "the URL of a proxy, SCHEME://[USER[:PASSWORD]@]HOST[:PORT] with http, https, socks5, socks5h or ssh as SCHEME, or env",
  example: "http://proxy.example:3128",
  parse: (text) => (text === "env" ? "env" : parseProxy(text)),
};

/** SHA-256 in base64 without padding: 43 characters. */
export const FINGERPRINT: ValueKind<string> = {
  expects: "a fingerprint as ssh-keygen -l prints it, SHA256: and 43 characters",
  example: "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDCGDGHLQvT9u0v3kM",
  parse: (text) => (/^SHA256:[A-Za-z\d+/]{43}$/.test(text) ? text : undefined),
};
