/** tinyproxy: it answers in HTTP/1.0, and 401 to wrong credentials. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { programFolder, startProgram } from "./program.ts";
import { countIn, type Proxy, type ProxyOptions } from "./proxy.ts";

export interface TinyproxyOptions extends ProxyOptions {
  /** What it connects to; any port when left out. */
  readonly allowedPorts?: readonly number[];
}

/** Its parser takes credentials of letters and digits only. */
function configuration(port: number, options: TinyproxyOptions): string {
  const { credentials, allowedPorts = [] } = options;
  const who =
    credentials === undefined ? "" : `BasicAuth ${credentials.user} ${credentials.password}`;
  return `Port ${port}
Timeout 600
MaxClients 100
LogLevel Info
${who}
${allowedPorts.map((allowed) => `ConnectPort ${allowed}`).join("\n")}
`;
}

export async function tinyproxy(options: TinyproxyOptions): Promise<Proxy> {
  const { namespace, port = 8888 } = options;
  const folder = programFolder();
  const [file, log] = [join(folder, "tinyproxy.conf"), join(folder, "log")];
  writeFileSync(file, `${configuration(port, options)}LogFile "${log}"\n`);
  const program = await startProgram({
    namespace,
    command: ["tinyproxy", "-d", "-c", file],
    port,
    folder,
  });
  return {
    ...program,
    tunnels: () => countIn(readFileSync(log, "latin1"), /Established connection to host/g),
  };
}
