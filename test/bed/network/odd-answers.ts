/** Answers to CONNECT as they have been seen in the wild, or might be. */

export interface OddAnswer {
  /** Goes out piece by piece. */
  readonly says: readonly string[];
  /** Before each piece but the first. */
  readonly pauseMs?: number;
  readonly next: "tunnel" | "close" | "reset" | "wait" | "go on";
  /** Waits for the first bytes of the far end, and sends them in one piece with the answer. */
  readonly withFirstBytes?: boolean;
}

/** A status line, header lines and a body. */
function head(status: string, headers: readonly string[] = [], body = ""): string {
  return `${[status, ...headers].join("\r\n")}\r\n\r\n${body}`;
}

function accepting(status: string, ...headers: readonly string[]): OddAnswer {
  return { says: [head(status, headers)], next: "tunnel" };
}

function refusing(status: string, headers: readonly string[], body = ""): OddAnswer {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  return { says: [head(status, [...headers, length], body)], next: "close" };
}

const MANY = Array.from({ length: 60 }, (_, index) => `X-Passed-By-${index}: hop ${index}`);
const OK = head("HTTP/1.1 200 Connection established", ["Via: 1.1 bed"]);

/** After each of these there is a tunnel. */
export const ACCEPTING = {
  "HTTP/1.0": accepting("HTTP/1.0 200 Connection established", "Proxy-agent: bed/1.0"),
  "no reason": accepting("HTTP/1.1 200"),
  "an empty reason": accepting("HTTP/1.1 200 "),
  "an odd reason": accepting("HTTP/1.1 200 Verbindung hergestellt: gr\u00fcn, so weit"),
  "many headers": accepting("HTTP/1.1 200 OK", ...MANY),
  "headers of a body": accepting(
    "HTTP/1.1 200 OK",
    "Transfer-Encoding: chunked",
    "Content-Length: 5",
  ),
  "a header in two lines": accepting("HTTP/1.1 200 OK", "X-Folded: one", "  two"),
  "another success": accepting("HTTP/1.1 204 No Content"),
  "one byte at a time": { says: OK.split(""), pauseMs: 5, next: "tunnel" },
  "a pause in the middle": { says: [OK.slice(0, 20), OK.slice(20)], pauseMs: 1500, next: "tunnel" },
  "bytes right behind it": { says: [OK], next: "tunnel", withFirstBytes: true },
} as const satisfies { readonly [what: string]: OddAnswer };

const HTML = `<!DOCTYPE html>
<html><head><title>ERROR: Cache Access Denied</title></head>
<body><p>Sorry, \u001b[31myou\u001b[0m are not allowed.</p>${"<!-- padding -->".repeat(2000)}</body></html>
`;
const PAGE = ["Content-Type: text/html;charset=utf-8"];

/** None of these is a tunnel; the table is by what is odd about it. */
export const REFUSING = {
  "407 for Basic": refusing("HTTP/1.1 407 Proxy Authentication Required", [
    'Proxy-Authenticate: Basic realm="bed"',
  ]),
  "407 for others": refusing("HTTP/1.1 407 Proxy Authentication Required", [
    "Proxy-Authenticate: Negotiate",
    "Proxy-Authenticate: NTLM",
  ]),
  "407 for others and Basic": refusing("HTTP/1.1 407 authenticate", [
    "proxy-authenticate: Negotiate, NTLM",
    'PROXY-AUTHENTICATE: Digest realm="a, Basic b", nonce="x", Basic realm="bed"',
  ]),
  "407 that offers nothing": refusing("HTTP/1.1 407 Proxy Authentication Required", []),
  "401 for Basic": refusing("HTTP/1.0 401 Unauthorized", ['WWW-Authenticate: Basic realm="bed"']),
  "403": refusing("HTTP/1.1 403 Forbidden", PAGE, HTML),
  "405": refusing("HTTP/1.1 405 Not Allowed", PAGE, "<h1>405 Not Allowed</h1>"),
  "426": refusing("HTTP/1.1 426 Upgrade Required", ["Upgrade: websocket", "Connection: Upgrade"]),
  "400 that is a 426": refusing(
    "HTTP/1.1 400 Bad Request",
    ["Content-Type: application/json"],
    JSON.stringify({ kind: "Status", message: "Upgrade request required", code: 400 }, null, 2),
  ),
  "500": refusing("HTTP/1.0 500 Unable to connect", []),
  "501": refusing("HTTP/1.1 501 Not Implemented", []),
  "503 with HTML": refusing("HTTP/1.1 503 Service Unavailable", PAGE, HTML),
  "503 with HTML a moment later": {
    says: [head("HTTP/1.1 503 Service Unavailable", PAGE), HTML],
    pauseMs: 100,
    next: "close",
  },
  "302": refusing("HTTP/1.1 302 Found", ["Location: http://login.example.test/"]),
  "a refusal that stays open": {
    says: [head("HTTP/1.1 403 Forbidden", ["Content-Length: 100000"], "no")],
    next: "wait",
  },
  "a header without end": { says: ["HTTP/1.1 200 OK\r\n", "X-More: and more\r\n"], next: "go on" },
  "a line without end": { says: ["HTTP/1.1 200 ", "O"], next: "go on" },
  "half a header": { says: ["HTTP/1.1 200 OK\r\nVia: 1.1 b"], next: "close" },
  "no HTTP": { says: ["SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"], next: "wait" },
  "bytes of TLS": { says: ["\u0015\u0003\u0001\u0000\u0002\u0002\u0046"], next: "close" },
  "a close": { says: [], next: "close" },
  "a reset": { says: [], next: "reset" },
  nothing: { says: [], next: "wait" },
} as const satisfies { readonly [what: string]: OddAnswer };
