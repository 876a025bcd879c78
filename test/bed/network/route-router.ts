/** haproxy as OpenShift's router runs it: SNI finds a route; who asks for none gets the router's own certificate. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import process from "node:process";

import { familyOf } from "../../agent/processes.ts";
import type { NetworkNamespace } from "../network-namespace.ts";
import { issueServer, makeAuthority } from "./certificates.ts";
import { programFolder, startProgram, until, type Program } from "./program.ts";
import { countIn } from "./proxy.ts";

export interface Route {
  readonly host: string;
  /** ADDRESS:PORT. */
  readonly to: string;
  /** Where TLS ends: at the target, at the router, or at both. */
  readonly termination?: "passthrough" | "edge" | "reencrypt";
}

export interface RouteRouterOptions {
  readonly namespace: NetworkNamespace;
  readonly routes: readonly Route[];
  readonly port?: number;
  /** After which a connection that is silent is closed; OpenShift's own default is an hour. */
  readonly tunnelTimeout?: string;
}

export interface RouteRouter extends Program {
  /** PEM of who has signed the router's own certificates. */
  readonly authority: string;
  /** A new process takes over. The old one, which the result ends, lives on for the connections that it has. */
  readonly reload: () => Promise<() => void>;
  /** A Service may have lost all its pods. */
  readonly setEndpoints: (host: string, state: "there" | "gone") => Promise<void>;
  /** How many a route has in the process that has started last. */
  readonly connections: (host: string) => Promise<number>;
  /** Closes all connections of a route. */
  readonly closeAll: (host: string) => Promise<void>;
}

const DEFAULT_NAME = "*.apps.example.test";

function backendName({ host }: Pick<Route, "host">): string {
  return `be_${host}`;
}

function backend(route: Route, tunnelTimeout: string): string {
  const { termination = "passthrough", to } = route;
  const how = termination === "reencrypt" ? "ssl verify none" : "";
  return `backend ${backendName(route)}
  mode ${termination === "passthrough" ? "tcp" : "http"}
  timeout tunnel ${tunnelTimeout}
  server pod ${to} ${how}
`;
}

function uses(routes: readonly Route[], by: string): string {
  return routes
    .map((route) => `  use_backend ${backendName(route)} if { ${by} -i ${route.host} }\n`)
    .join("");
}

/** What matters of OpenShift's template for a connection that is not HTTP. */
function configuration(folder: string, certificate: string, options: RouteRouterOptions): string {
  const { routes, port = 443, tunnelTimeout = "1h" } = options;
  const passed = routes.filter(({ termination = "passthrough" }) => termination === "passthrough");
  const ended = routes.filter((route) => !passed.includes(route));
  return `global
  maxconn 500
  stats socket ${join(folder, "admin")} mode 600 level admin
defaults
  maxconn 500
  timeout connect 5s
  timeout client 30s
  timeout client-fin 1s
  timeout server 30s
  timeout server-fin 1s
  timeout http-request 10s
frontend public_ssl
  mode tcp
  bind :::${port} v4v6
  tcp-request inspect-delay 5s
  tcp-request content accept if { req.ssl_hello_type 1 }
${uses(passed, "req.ssl_sni")}  default_backend terminating
backend terminating
  mode tcp
  timeout tunnel ${tunnelTimeout}
  server router unix@${join(folder, "terminating")} send-proxy
frontend terminating
  mode http
  bind unix@${join(folder, "terminating")} accept-proxy ssl crt ${certificate} alpn h2,http/1.1
${uses(ended, "req.hdr(host),host_only")}  default_backend unavailable
backend unavailable
  mode http
  http-request return status 503 content-type text/html string "<html><body>Application is not available</body></html>"
${routes.map((route) => backend(route, tunnelTimeout)).join("")}`;
}

/** What haproxy answers on its socket for those who run it. */
async function ask(folder: string, command: string): Promise<string> {
  const socket = connect(join(folder, "admin"));
  let answer = "";
  socket.setEncoding("utf8").on("data", (text: string) => (answer += text));
  socket.end(`${command}\n`);
  await once(socket, "close");
  return answer.trim();
}

/** Nothing is answered when it has done as it was told. */
async function tell(folder: string, command: string): Promise<void> {
  const answer = await ask(folder, command);
  if (answer !== "") throw new Error(`haproxy does not ${command}: ${answer}`);
}

async function reload(program: Program): Promise<() => void> {
  const loaded = (): number => program.printed().split("Loading success").length;
  const [earlier, old] = [loaded(), familyOf(program.pid()).slice(1)];
  process.kill(program.pid(), "SIGUSR2");
  await until(() => loaded() > earlier, program.printed);
  return () => old.forEach((pid) => process.kill(pid, "SIGKILL"));
}

export async function routeRouter(options: RouteRouterOptions): Promise<RouteRouter> {
  const { namespace, port = 443 } = options;
  const folder = programFolder();
  const authority = makeAuthority(folder, "ingress-operator");
  const certificate = issueServer(folder, authority, DEFAULT_NAME);
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, configuration(folder, certificate, options));
  const command = ["haproxy", "-W", "-db", "-f", file];
  const program = await startProgram({ namespace, command, port, folder });
  const pod = (host: string): string => `${backendName({ host })}/pod`;
  return {
    ...program,
    authority: authority.certificate,
    reload: async () => reload(program),
    setEndpoints: async (host, state) =>
      tell(folder, `${state === "there" ? "enable" : "disable"} server ${pod(host)}`),
    connections: async (host) =>
      countIn(await ask(folder, "show sess"), new RegExp(`be=${backendName({ host })} `, "g")),
    closeAll: async (host) => tell(folder, `shutdown sessions server ${pod(host)}`),
  };
}
