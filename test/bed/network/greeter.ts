/** What a way leads to: a server that tells who asks where the connection came from. */
import type { NetworkNamespace } from "../network-namespace.ts";
import { startProgram, type Program } from "./program.ts";

/** Reads the request first: a connection that is closed with something unread is reset. */
const ANSWER = `while read -r line && test \${#line} -gt 1; do :; done
printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom %s' "$SOCAT_PEERADDR"`;

/** Speaks HTTP to those who come, by IPv4 and IPv6. */
export async function greeter(namespace: NetworkNamespace, port: number): Promise<Program> {
  const listen = `TCP6-LISTEN:${port},fork,reuseaddr,ipv6-v6only=0,backlog=64`;
  return startProgram({
    namespace,
    command: ["socat", listen, `SYSTEM:${JSON.stringify(ANSWER)}`],
    port,
  });
}
