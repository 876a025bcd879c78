/** squid as a forward proxy for CONNECT. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NetworkNamespace } from "../network-namespace.ts";
import { programFolder, startProgram } from "./program.ts";
import { countIn, type Credentials, type Proxy, type ProxyOptions } from "./proxy.ts";

export interface SquidOptions extends ProxyOptions {
  /** What it connects to; any port when left out. */
  readonly allowedPorts?: readonly number[];
  /** A certificate with its key (PEM): it is spoken to over TLS then. */
  readonly certificate?: string;
}

const SHARED_MEMORY = "/dev/shm";
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

function accessRules(folder: string, { allowedPorts, credentials }: SquidOptions): string {
  const ports =
    allowedPorts === undefined
      ? ""
      : `acl allowed_ports port ${allowedPorts.join(" ")}\nhttp_access deny CONNECT !allowed_ports`;
  return `acl CONNECT method CONNECT\n${ports}\n${whoMay(folder, credentials)}`;
}

/** Names that cannot be resolved are given up after a second; by default nothing is answered for minutes. */
function common(folder: string): string {
  return `cache deny all
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

/** Starts one of what it listens on and who may use it, in its own words. */
export async function startSquid(
  namespace: NetworkNamespace,
  port: number,
  words: (folder: string) => string,
): Promise<Proxy> {
  count++;
  const folder = programFolder();
  const file = join(folder, "squid.conf");
  writeFileSync(file, `${words(folder)}\n${common(folder)}`);
  const service = `bed${process.pid}x${count}`;
  const command = ["squid", "-N", "-n", service, "-f", file];
  const program = await startProgram({ namespace, command, port, folder });
  return {
    ...program,
    tunnels: () => tunnelsIn(join(folder, "access.log")),
    [Symbol.asyncDispose]: async () => {
      await program[Symbol.asyncDispose]();
      forgetSharedMemory(service);
    },
  };
}

/** One that was killed leaves its segments behind. */
function forgetSharedMemory(service: string): void {
  const left = readdirSync(SHARED_MEMORY).filter((name) => name.startsWith(`${service}-`));
  for (const name of left) rmSync(join(SHARED_MEMORY, name), { force: true });
}

export async function squid(options: SquidOptions): Promise<Proxy> {
  const { namespace, port = 3128, certificate } = options;
  const listens =
    certificate === undefined ? `http_port ${port}` : `https_port ${port} tls-cert=${certificate}`;
  return startSquid(namespace, port, (folder) => `${listens}\n${accessRules(folder, options)}`);
}
