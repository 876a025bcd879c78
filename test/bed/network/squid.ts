/** squid as a forward proxy for CONNECT. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { programFolder, startProgram } from "./program.ts";
import { countIn, type Credentials, type Proxy, type ProxyOptions } from "./proxy.ts";

export interface SquidOptions extends ProxyOptions {
  /** What it connects to; any port when left out. */
  readonly allowedPorts?: readonly number[];
  /** A certificate with its key (PEM): it is spoken to over TLS then. */
  readonly certificate?: string;
}

const BASIC_AUTH = "/usr/lib/squid/basic_ncsa_auth";

/** In a form that squid's own program for passwords reads. */
function passwordFile(folder: string, { user, password }: Credentials): string {
  const file = join(folder, "passwords");
  const hash = execFileSync("openssl", ["passwd", "-apr1", "-stdin"], {
    input: password,
    encoding: "utf8",
  });
  writeFileSync(file, `${user}:${hash}`);
  return file;
}

function whoMay(folder: string, credentials: Credentials | undefined): string {
  if (credentials === undefined) return "http_access allow all";
  return `auth_param basic program ${BASIC_AUTH} ${passwordFile(folder, credentials)}
auth_param basic realm bed
auth_param basic children 1
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all`;
}

/** Names that cannot be resolved are given up after a second; by default nothing is answered for minutes. */
function configuration(folder: string, port: number, options: SquidOptions): string {
  const { allowedPorts, credentials, certificate } = options;
  const listens =
    certificate === undefined ? `http_port ${port}` : `https_port ${port} tls-cert=${certificate}`;
  const ports =
    allowedPorts === undefined
      ? ""
      : `acl allowed_ports port ${allowedPorts.join(" ")}\nhttp_access deny CONNECT !allowed_ports`;
  return `${listens}
acl CONNECT method CONNECT
${ports}
${whoMay(folder, credentials)}
cache deny all
cache_mem 8 MB
logformat bed %>Hs %rm %ru
access_log stdio:${join(folder, "access.log")} logformat=bed
cache_log ${join(folder, "cache.log")}
pid_filename ${join(folder, "pid")}
coredump_dir ${folder}
hosts_file /etc/hosts
dns_nameservers 127.0.0.1
dns_timeout 1 seconds
dns_retransmit_interval 200 milliseconds
visible_hostname squid.example.test
`;
}

function tunnelsIn(log: string): number {
  return existsSync(log) ? countIn(readFileSync(log, "latin1"), /^200 CONNECT /gm) : 0;
}

/** A second one in the same machine needs a service name of its own. */
let count = 0;

export async function squid(options: SquidOptions): Promise<Proxy> {
  const { namespace, port = 3128 } = options;
  count++;
  const folder = programFolder();
  const file = join(folder, "squid.conf");
  writeFileSync(file, configuration(folder, port, options));
  const command = ["squid", "-N", "-n", `bed${process.pid}x${count}`, "-f", file];
  const program = await startProgram({ namespace, command, port, folder });
  return { ...program, tunnels: () => tunnelsIn(join(folder, "access.log")) };
}
