/** dante: SOCKS5 as large networks have it. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { knowingUser } from "./accounts.ts";
import { programFolder, startProgram } from "./program.ts";
import { countIn, type Proxy, type ProxyOptions } from "./proxy.ts";
import { TO_SOURCE, TO_TARGET } from "./two-clusters.ts";

/** It serves links, not addresses, and its parser wants its lines as they are here. */
function configuration(port: number, method: "username" | "none"): string {
  return `logoutput: stderr
internal: 0.0.0.0 port = ${port}
internal: :: port = ${port}
external: ${TO_SOURCE}
external: ${TO_TARGET}
external.rotation: route
clientmethod: none
socksmethod: ${method}
user.privileged: root
user.unprivileged: nobody
client pass {
  from: 0/0 to: 0/0
}
socks pass {
  from: 0/0 to: 0/0
  command: connect
  log: connect error
}
`;
}

export async function dante(options: ProxyOptions): Promise<Proxy> {
  const { namespace, port = 1080, credentials } = options;
  const folder = programFolder();
  const file = join(folder, "danted.conf");
  writeFileSync(file, configuration(port, credentials === undefined ? "none" : "username"));
  const before = credentials === undefined ? [] : knowingUser(folder, credentials);
  const command = ["danted", "-f", file, "-p", join(folder, "pid")];
  const program = await startProgram({ namespace, command, before, port, folder });
  return { ...program, tunnels: () => countIn(program.printed(), /pass\(\d+\): tcp\/connect \[/g) };
}
