/** haproxy before something that only an upgraded HTTP connection reaches, as gateways of web applications are. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NetworkNamespace } from "../network-namespace.ts";
import { programFolder, startProgram, type Program } from "./program.ts";

export interface UpgradeWallOptions {
  /** It listens there on all addresses. */
  readonly namespace: NetworkNamespace;
  readonly port: number;
  /** Where upgraded connections go: ADDRESS:PORT. */
  readonly to: string;
  /** A certificate with its key (PEM): it is spoken to over TLS then. */
  readonly certificate?: string;
}

function configuration({ port, to, certificate }: UpgradeWallOptions): string {
  const secured = certificate === undefined ? "" : `ssl crt ${certificate} alpn h2,http/1.1`;
  return `defaults
  mode http
  maxconn 100
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen wall
  bind :::${port} v4v6 ${secured}
  http-request return status 426 hdr upgrade websocket content-type text/plain string "Upgrade Required" unless { req.hdr(upgrade) -i websocket }
  server behind ${to}
`;
}

export async function upgradeWall(options: UpgradeWallOptions): Promise<Program> {
  const { namespace, port } = options;
  const folder = programFolder();
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, configuration(options));
  return startProgram({ namespace, command: ["haproxy", "-db", "-f", file], port, folder });
}
