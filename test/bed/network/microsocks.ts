/** microsocks: SOCKS5 with as little as possible. */
import { startProgram } from "./program.ts";
import { countIn, type Proxy, type ProxyOptions } from "./proxy.ts";

export async function microsocks(options: ProxyOptions): Promise<Proxy> {
  const { namespace, port = 1081, credentials } = options;
  const who = credentials === undefined ? [] : ["-u", credentials.user, "-P", credentials.password];
  const command = ["microsocks", "-i", "::", "-p", String(port), ...who];
  const program = await startProgram({ namespace, command, port });
  return { ...program, tunnels: () => countIn(program.printed(), /connected to/g) };
}
