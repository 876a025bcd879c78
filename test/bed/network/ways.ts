/** What --via can name: for each kind a real proxy on the router that wants to know who asks, and how an agent tells it. */
import { writeFileSync } from "node:fs";

import type { NetworkNamespace } from "../network-namespace.ts";
import type { Scratch } from "../scratch.ts";
import { issueServer, makeAuthority } from "./certificates.ts";
import { dante } from "./dante.ts";
import { microsocks } from "./microsocks.ts";
import type { Program } from "./program.ts";
import type { Credentials } from "./proxy.ts";
import { squid } from "./squid.ts";
import { makeKey, sshd } from "./sshd.ts";
import { tinyproxy } from "./tinyproxy.ts";
import { ADDRESSES, ROUTER_NAME } from "./two-clusters.ts";

export interface Way extends AsyncDisposable {
  readonly server: Program;
  readonly right: Login;
  /** What the proxy refuses. */
  readonly wrong: Login;
}

export interface Login {
  readonly scheme: string;
  /** Before the host in a URL. */
  readonly userinfo: string;
  readonly port: number;
  /** What is needed besides the URL. */
  readonly flags: readonly string[];
}

export type OpenWay = (router: NetworkNamespace, place: Scratch) => Promise<Way>;

/** What has to be encoded in a URL. */
const ODD = { user: "alice", password: "s3:c r%t@" };
/** All that tinyproxy can read. */
const PLAIN = { user: "bob", password: "pa55word" };
const ROUTER_ADDRESSES = Object.values(ADDRESSES.sourceRouter);
const WRONG_PASSWORD = "n0t-the-password";

/** `host` as a URL has it. */
export function viaUrl({ scheme, userinfo, port }: Login, host: string): string {
  return `${scheme}://${userinfo}@${host}:${port}`;
}

function userinfoOf({ user, password }: Credentials): string {
  return `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
}

function byPassword(
  server: Program,
  credentials: Credentials,
  scheme: string,
  flags: readonly string[] = [],
): Way {
  const login = { scheme, port: server.port, flags };
  const wrong = { ...credentials, password: WRONG_PASSWORD };
  return {
    server,
    right: { ...login, userinfo: userinfoOf(credentials) },
    wrong: { ...login, userinfo: userinfoOf(wrong) },
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
}

async function openHttps(namespace: NetworkNamespace, place: Scratch): Promise<Way> {
  const authority = makeAuthority(place.path, "proxy-ca");
  const certificate = issueServer(place.path, authority, ROUTER_NAME, ROUTER_ADDRESSES);
  const server = await squid({ namespace, port: 3129, credentials: ODD, certificate });
  return byPassword(server, ODD, "https", ["--via-ca", authority.certificate]);
}

/** The router has several names, and a list of known hosts has each of them. */
function knownHosts(place: Scratch, port: number, key: string): readonly string[] {
  const file = place.at("known_hosts");
  const hosts = [ROUTER_NAME, ...ROUTER_ADDRESSES];
  writeFileSync(file, hosts.map((host) => `[${host}]:${port} ${key}\n`).join(""));
  return ["--ssh-known-hosts", file];
}

async function openBastion(namespace: NetworkNamespace, place: Scratch): Promise<Way> {
  const server = await sshd({ namespace, accepts: "password" });
  return byPassword(server, server.user, "ssh", knownHosts(place, server.port, server.hostKey));
}

async function openBastionByKey(namespace: NetworkNamespace, place: Scratch): Promise<Way> {
  const server = await sshd({ namespace, accepts: "publickey" });
  const { user, identity } = server.user;
  const known = knownHosts(place, server.port, server.hostKey);
  const login = { scheme: "ssh", userinfo: user, port: server.port };
  const other = place.at("other-key");
  makeKey(other);
  return {
    server,
    right: { ...login, flags: [...known, "--ssh-key", identity] },
    wrong: { ...login, flags: [...known, "--ssh-key", other] },
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
}

export const WAYS: { readonly [name: string]: OpenWay } = {
  "CONNECT, squid": async (namespace) =>
    byPassword(await squid({ namespace, credentials: ODD }), ODD, "http"),
  "CONNECT, tinyproxy": async (namespace) =>
    byPassword(await tinyproxy({ namespace, credentials: PLAIN }), PLAIN, "http"),
  "CONNECT over TLS, squid": openHttps,
  "SOCKS5, dante": async (namespace) =>
    byPassword(await dante({ namespace, credentials: ODD }), ODD, "socks5h"),
  "SOCKS5, microsocks": async (namespace) =>
    byPassword(await microsocks({ namespace, credentials: ODD }), ODD, "socks5h"),
  "SSH by password": openBastion,
  "SSH by key": openBastionByKey,
};
