/** squid as a man in the middle: what goes through it by CONNECT is decrypted and inspected, but for names that are spared. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NetworkNamespace } from "../network-namespace.ts";
import { makeAuthority } from "./certificates.ts";
import type { Proxy } from "./proxy.ts";
import { startSquid } from "./squid.ts";

export interface InspectingOptions {
  readonly namespace: NetworkNamespace;
  readonly port?: number;
  /** By what TLS asks for. */
  readonly spared?: readonly string[];
}

/** Makes certificates while it runs; only the squid that is built with OpenSSL has it. */
export const CERTIFICATE_MAKER = "security_file_certgen";
const MAKER = `/usr/lib/squid/${CERTIFICATE_MAKER}`;
export const INSPECTION_CA = "inspection-ca";

function authority(folder: string): string {
  const { certificate, key } = makeAuthority(folder, INSPECTION_CA);
  const file = join(folder, "inspector.pem");
  writeFileSync(file, readFileSync(certificate, "utf8") + readFileSync(key, "utf8"));
  return file;
}

/** Kept where squid may write when it is no longer root. */
function certificates(folder: string): string {
  const store = join(folder, "certificates");
  execFileSync(MAKER, ["-c", "-s", store, "-M", "4MB"], { stdio: ["ignore", "ignore", "pipe"] });
  execFileSync("chmod", ["-R", "a+rwX", store]);
  return store;
}

function configuration(folder: string, port: number, spared: readonly string[]): string {
  const splice =
    spared.length === 0
      ? ""
      : `acl spared ssl::server_name ${spared.join(" ")}\nssl_bump splice spared`;
  return `http_port ${port} ssl-bump cert=${authority(folder)} generate-host-certificates=on
sslcrtd_program ${MAKER} -s ${certificates(folder)} -M 4MB
sslcrtd_children 1
acl first at_step SslBump1
ssl_bump peek first
${splice}
ssl_bump bump all
sslproxy_cert_error allow all
tls_outgoing_options flags=DONT_VERIFY_PEER
http_access allow all`;
}

export async function inspectingSquid(options: InspectingOptions): Promise<Proxy> {
  const { namespace, port = 3130, spared = [] } = options;
  return startSquid(namespace, port, (folder) => configuration(folder, port, spared));
}
