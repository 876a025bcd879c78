/** From the flags about the way to the other side, and the files that they name, to the path itself. */

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { ENDPOINT, type Endpoint } from "../config/endpoint.ts";
import type { FlagValues } from "../config/flags.ts";
import { hostKeys } from "../config/known-hosts.ts";
import { LIMITS } from "../config/limits.ts";
import { VIA, type ListenAddress, type Via } from "../config/proxy-kinds.ts";
import { proxyText, type Proxy } from "../config/proxy.ts";
import { hostPortText, type Given, type ValueKind } from "../config/value-kinds.ts";
import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { keepSecret } from "../core/secrets.ts";
import { errnoOf, fileError } from "../core/system-errors.ts";
import { loadAddon } from "../native/addon.ts";
import { dialerThrough, type ProxyTrust } from "../net/chain.ts";
import { forwardToSource, listenForTarget, type IncomingPath } from "../net/incoming-path.ts";
import { pathTo, type Path } from "../net/path.ts";
import type { ForwardCalls, RemoteForward } from "../net/remote-forward.ts";
import { boundAddress } from "./bound-address.ts";
import type { ReadyFile } from "./ready-file.ts";

/** The side that listens may say so in a file. */
export interface Listening {
  readonly notice: (message: string) => void;
  readonly ready: ReadyFile;
}

type PathFlags = Pick<
  FlagValues<"source">,
  "to" | "toFile" | "via" | "viaFile" | "viaCa" | "sshKey" | "sshKnownHosts" | "sshHostKey"
>;

/** Throws (2) when the flags, or the files that they name, say nothing usable. `notice` is told what is unwise. */
export async function pathFromFlags(
  flags: PathFlags,
  command: "source" | "target" | "doctor",
  notice: (message: string) => void,
): Promise<Path> {
  const endpoint = endpointFrom(flags, command);
  const proxies = await proxiesFrom(flags, endpoint, notice);
  const trust = trustFrom(flags, proxies);
  return pathTo({ endpoint, proxies, trust, pair: () => loadAddon().socketPair() });
}

/** The path of a source whose target dials. Ends with its disposal. */
export async function incomingPath(
  flags: PathFlags & { readonly listen: ListenAddress },
  calls: Omit<ForwardCalls, "connection" | "listening">,
  { notice, ready }: Listening,
): Promise<IncomingPath> {
  const pair = (): readonly number[] => loadAddon().socketPair();
  const forward = await forwardFromFlags(flags, { notice, ready });
  const listening = (text: string): void => notice(`Listening on ${text}`);
  if (forward !== null) return forwardToSource(forward, pair, { ...calls, listening });
  const path = await listenForTarget(boundAddress(flags.listen), pair);
  ready.listens({ host: path.endpoint.hosts[0], port: path.endpoint.port });
  listening(path.text);
  return path;
}

/** null when this machine itself is to listen. Throws (2) when --listen stands beside what is for dialling. */
export async function forwardFromFlags(
  flags: PathFlags & { readonly listen: ListenAddress | null },
  { notice, ready }: Listening,
): Promise<RemoteForward | null> {
  const { listen, to, toFile, via, viaFile } = flags;
  const bastion = listen?.bastion ?? null;
  const isThrough = bastion === null && via.length + viaFile.length > 0;
  if (listen !== null && (to !== null || toFile !== null || isThrough)) throw bothWays();
  if (listen === null || bastion === null) return null;
  const { host, port } = bastion;
  const proxies = await proxiesFrom(flags, { kind: "tcp", hosts: [host], port }, notice);
  keepCredentials(bastion);
  const trust = trustFrom(flags, [...proxies, bastion]);
  const through = dialerThrough(proxies, trust);
  const { remoteForward } = await import("../net/remote-forward.ts");
  const forward = remoteForward({ bastion, address: listen, through, trust: trust.ssh });
  return ready.follows(forward, bastion, listen);
}

function bothWays(): PvferryError {
  return wrongFlags(
    "--listen waits for the other side, and --to and --via are for dialling it.",
    "Give --listen on one side, and --to, with --via where it is needed, on the other.",
  );
}

function endpointFrom({ to, toFile }: PathFlags, command: string): Endpoint {
  if (to !== null && toFile !== null) {
    throw wrongFlags("--to and --to-file both say where the target is.", "Give one of them.");
  }
  if (to !== null) return to;
  if (toFile !== null) return parsedLine(ENDPOINT, "endpoint", toFile, endpointIn(toFile));
  throw wrongFlags(
    `pvferry ${command} needs to know where the target can be reached.`,
    `Add --to ENDPOINT or --to-file FILE, or set PVFERRY_TO; pvferry ${command} --help shows an example.`,
  );
}

/** In the order in which they were given, whichever flag gave them. */
async function proxiesFrom(
  { via, viaFile }: PathFlags,
  endpoint: Endpoint,
  notice: (message: string) => void,
): Promise<readonly Proxy[]> {
  const lists = [
    ...via.map(({ at, value }) => ({ at, list: [value] })),
    ...viaFile.map(readProxies),
  ];
  const proxies: Proxy[] = [];
  for (const one of lists.toSorted((a, b) => a.at - b.at).flatMap(({ list }) => list)) {
    if (one === "env") proxies.push(...(await proxiesOfEnvironment(endpoint)));
    else proxies.push(one);
  }
  proxies.forEach(keepCredentials);
  warnOfPasswords(via, notice);
  return proxies;
}

/** Before anything can be said about them. */
function keepCredentials({ user, password }: Proxy): void {
  if (password === null) return;
  keepSecret(password, Buffer.from(`${user}:${password}`, "utf8").toString("base64"));
}

function warnOfPasswords(via: readonly Given<Via>[], notice: (message: string) => void): void {
  for (const { value, where } of via) {
    if (where !== "--via" || value === "env" || value.password === null) continue;
    notice(
      `The password for ${proxyText(value)} stands in the command line, where everybody on this machine can read it ` +
        "(ps); --via-file or PVFERRY_VIA keep it to yourself.",
    );
  }
}

/** One URL a line; empty lines and those that begin with # say nothing. */
function readProxies({ at, value: file }: Given<string>): { at: number; list: readonly Via[] } {
  const lines = readText(file)
    .split("\n")
    .map((line) => line.trim());
  const urls = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return { at, list: urls.map((url) => parsedLine(VIA, "proxy", file, url)) };
}

/** As --to takes it, or as --ready-file has it. */
function endpointIn(file: string): string {
  const text = readText(file).trim();
  if (!text.startsWith("{")) return text;
  try {
    const ready = JSON.parse(text) as { readonly endpoint?: unknown };
    return typeof ready.endpoint === "string" ? ready.endpoint : text;
  } catch {
    return text;
  }
}

/** As for an https URL of the endpoint's, which is what the usual variables are about. */
async function proxiesOfEnvironment({ hosts: [host], port }: Endpoint): Promise<readonly Proxy[]> {
  const { getProxyForUrl } = await import("proxy-from-env");
  const url = getProxyForUrl(`https://${hostPortText({ host, port })}`);
  if (url === "") return [];
  const proxy = VIA.parse(isNamedWithScheme() ? url : url.replace(/^https:/, "http:"));
  if (proxy !== undefined && proxy !== "env") return [proxy];
  throw wrongFlags(
    "--via env: the proxy that HTTPS_PROXY or ALL_PROXY names is not the URL of a proxy that pvferry knows.",
    `Correct it, or give --via with ${VIA.expects}.`,
  );
}

/** Without a scheme it is one that is spoken to in the clear, as curl takes it; the library takes it for https. */
function isNamedWithScheme(): boolean {
  const names = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
  const named = names.map((name) => process.env[name] ?? "").find((value) => value !== "");
  return named?.includes("://") ?? false;
}

function trustFrom(flags: PathFlags, proxies: readonly Proxy[]): ProxyTrust {
  const { viaCa, sshKey, sshKnownHosts, sshHostKey } = flags;
  const usesSsh = proxies.some(({ scheme }) => scheme === "ssh");
  const knownHosts = usesSsh ? readKnownHosts(sshKnownHosts) : "";
  const agent = process.env["SSH_AUTH_SOCK"] ?? "";
  return {
    ca: viaCa === null ? null : readText(viaCa),
    ssh: {
      hostKeys: hostKeys(
        knownHosts,
        sshHostKey.map(({ value }) => value),
      ),
      privateKey: sshKey === null ? null : readText(sshKey),
      agent: sshKey === null && agent !== "" ? agent : null,
    },
  };
}

/** One that is named has to be there; the usual one may be missing, and then knows nobody. */
function readKnownHosts(file: string | null): string {
  if (file !== null) return readText(file);
  try {
    return readText(join(homedir(), ".ssh", "known_hosts"));
  } catch (error) {
    if (error instanceof PvferryError && errnoOf(error.cause) === "ENOENT") return "";
    throw error;
  }
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, "utf8");
    if (text.length <= LIMITS.pathFileBytes) return text;
  } catch (cause) {
    throw fileError("read", file, cause);
  }
  throw wrongFlags(
    `${escapeText(file)} is longer than ${LIMITS.pathFileBytes} bytes.`,
    "Check that it is the right file.",
  );
}

/** The line itself may be a secret. */
function parsedLine<T>(kind: ValueKind<T>, what: string, file: string, line: string): T {
  const value = kind.parse(line);
  if (value !== undefined) return value;
  throw wrongFlags(
    `${escapeText(file)} holds something that is no ${what}: a line is not ${kind.expects}.`,
    `Write a line such as ${kind.example}.`,
  );
}

function wrongFlags(message: string, next: string): PvferryError {
  return new PvferryError({ code: 2, message, next });
}
