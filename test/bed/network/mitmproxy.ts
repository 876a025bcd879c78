/** mitmproxy as a man in the middle: what goes through it by CONNECT is decrypted, but for hosts that are spared. */
import { programFolder, startProgram, type Program } from "./program.ts";
import type { ProxyOptions } from "./proxy.ts";

export interface MitmproxyOptions extends ProxyOptions {
  /** By name, or by address. */
  readonly spared?: readonly string[];
}

/** In the names of the certificates that it makes. */
export const MITMPROXY_CA = "mitmproxy";

/** It looks at a name or an address; whether with a port, depends on its release. */
function sparing(hosts: readonly string[]): readonly string[] {
  const patterns = hosts.map((host) => `^${host.replaceAll(".", "\\.")}(?::\\d+)?$`);
  return patterns.flatMap((pattern) => ["--ignore-hosts", pattern]);
}

export async function mitmproxy(options: MitmproxyOptions): Promise<Program> {
  const { namespace, port = 8081, credentials, spared = [] } = options;
  const folder = programFolder();
  const who =
    credentials === undefined
      ? []
      : ["--set", `proxyauth=${credentials.user}:${credentials.password}`];
  const where = ["--listen-port", String(port), "--set", `confdir=${folder}`];
  // It does not mind what the target shows, as somebody who inspects on purpose.
  const command = ["mitmdump", ...where, "--ssl-insecure", ...who, ...sparing(spared)];
  return startProgram({ namespace, command, port, folder });
}
