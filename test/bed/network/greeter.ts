/** What a way leads to: a server that tells who asks where the connection came from. */
import type { NetworkNamespace } from "../network-namespace.ts";
import { startProgram, type Program } from "./program.ts";

export interface GreeterOptions {
  /** It listens there on all addresses. */
  readonly namespace: NetworkNamespace;
  readonly port: number;
  /** A certificate with its key (PEM): it speaks TLS then. */
  readonly certificate?: string;
}

/** Reads the request first: a connection that is closed with something unread is reset. */
const ANSWER = `while read -r line && test \${#line} -gt 1; do :; done
printf 'HTTP/1.0 200 OK\\r\\n\\r\\nfrom %s' "$SOCAT_PEERADDR"`;

/** Speaks HTTP to those who come. */
export async function greeter({ namespace, port, certificate }: GreeterOptions): Promise<Program> {
  const common = "fork,reuseaddr,ipv6-v6only=0,backlog=64";
  const listen =
    certificate === undefined
      ? `TCP6-LISTEN:${port},${common}`
      : `OPENSSL-LISTEN:${port},pf=ip6,cert=${certificate},verify=0,${common}`;
  const command = ["socat", listen, `SYSTEM:${JSON.stringify(ANSWER)}`];
  return startProgram({ namespace, command, port });
}
