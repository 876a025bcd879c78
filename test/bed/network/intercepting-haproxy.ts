/** haproxy as a man in the middle whom nobody has asked for: connections that pass the router end at him, and begin anew. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NetworkNamespace } from "../network-namespace.ts";
import { chain, nftTable } from "./nft.ts";
import { programFolder, startProgram } from "./program.ts";
import { ADDRESSES, TO_SOURCE } from "./two-clusters.ts";

export interface InterceptingOptions {
  /** One that forwards. */
  readonly router: NetworkNamespace;
  /** Of the target, and of connections to it. */
  readonly port: number;
  /** What he shows to who comes: certificate and key (PEM). */
  readonly shows: string;
  /** The same for the target; otherwise he shows nothing there. */
  readonly presents?: string;
}

const OWN_PORT = 9443;
const PROTOCOLS = ["control", "index", "lane", "doctor"];

/** What is agreed on with the one side is what he wants of the other. */
function configuration({ port, shows, presents }: InterceptingOptions): string {
  const alpn = (kind: string): string => `pvferry-${kind}/1`;
  const to = `[${ADDRESSES.target.v6}]:${port}`;
  const own = presents === undefined ? "" : `crt ${presents}`;
  return `defaults
  mode tcp
  maxconn 500
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend all
  bind :::${OWN_PORT} v4v6 ssl crt ${shows} alpn ${PROTOCOLS.map(alpn).join(",")}
${PROTOCOLS.map((kind) => `  use_backend ${kind} if { ssl_fc_alpn ${alpn(kind)} }`).join("\n")}
${PROTOCOLS.map((kind) => `backend ${kind}\n  server target ${to} ssl verify none alpn ${alpn(kind)} ${own}`).join("\n")}
`;
}

export async function interceptingHaproxy(options: InterceptingOptions): Promise<AsyncDisposable> {
  const { router: namespace, port } = options;
  const folder = programFolder();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, configuration(options));
  await using made = new AsyncDisposableStack();
  const command = ["haproxy", "-db", "-f", file];
  made.use(await startProgram({ namespace, command, port: OWN_PORT, folder }));
  made.use(
    nftTable(namespace, [
      chain({
        type: "nat",
        hook: "prerouting",
        priority: -100,
        rules: [`iifname "${TO_SOURCE}" tcp dport ${port} redirect to :${OWN_PORT}`],
      }),
    ]),
  );
  return made.move();
}
