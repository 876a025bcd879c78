/**
 * Through a bastion: one SSH connection for each stream, with one channel to the peer (RFC 4254, 7.2, direct-tcpip), so that
 * lanes do not share a window. ssh2 speaks the protocol. A host key that is not known ends the attempt before anything
 * is said about who we are.
 */

import type { Duplex } from "node:stream";

import { Client, type ClientChannel, type ConnectConfig, type ServerHostKeyAlgorithm } from "ssh2";

import { fingerprint, type HostKeys, type KeyVerdict } from "../config/known-hosts.ts";
import { LIMITS } from "../config/limits.ts";
import type { Proxy } from "../config/proxy.ts";
import { PvferryError } from "../core/errors.ts";
import { harmlessText } from "../core/names.ts";
import type { Dialer } from "./dialer.ts";
import { brokenOff, proxied, proxyError, type Passage } from "./proxied.ts";

export interface SshTrust {
  readonly hostKeys: HostKeys;
  /** OpenSSH or PEM, without a passphrase. */
  readonly privateKey: string | null;
  /** The socket of an agent. */
  readonly agent: string | null;
}

export function sshDialer(proxy: Proxy, through: Dialer, trust: SshTrust): Dialer {
  return proxied(proxy, through, async (stream, passage) => sshThrough(stream, passage, trust));
}

async function sshThrough(stream: Duplex, passage: Passage, trust: SshTrust): Promise<Duplex> {
  const client = await logIn(stream, passage, trust);
  const channel = await openChannel(client, passage);
  channel.once("close", () => client.end());
  channel.on("error", () => undefined);
  channel.pause();
  return channel;
}

/** Resolves with a client that the server has let in; it has a listener for errors. */
export async function logIn(stream: Duplex, passage: Passage, trust: SshTrust): Promise<Client> {
  const client = new Client();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let refused: PvferryError | null = null;
  client.once("ready", resolve);
  // Stays for good: what breaks later is told by the channel that closes.
  client.on("error", (error) => reject(refused ?? failure(passage, error)));
  client.once("close", () => reject(refused ?? brokenOff(passage)));
  const verify = (key: Buffer): boolean => {
    refused = keyRefused(passage, trust.hostKeys, key);
    return refused === null;
  };
  try {
    client.connect({ ...connectConfig(passage, trust), sock: stream, hostVerifier: verify });
  } catch (thrown) {
    throw failure(passage, thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
  stream.resume();
  await promise;
  return client;
}

function connectConfig(
  { proxy, timeoutMs }: Passage,
  { hostKeys, privateKey, agent }: SshTrust,
): ConnectConfig {
  const { user, password } = proxy;
  const known = hostKeys.kindsOf(proxy.host, proxy.port);
  const kinds = known.flatMap((kind) => ALGORITHMS.get(kind) ?? []);
  return {
    username: user ?? "",
    ...(password === null ? {} : { password }),
    ...(privateKey === null ? {} : { privateKey }),
    ...(agent === null ? {} : { agent }),
    ...(kinds.length === 0 ? {} : { algorithms: { serverHostKey: kinds } }),
    // The time that is left for the whole way ends it before.
    readyTimeout: timeoutMs + 1_000,
    keepaliveInterval: LIMITS.keepAliveMs,
    keepaliveCountMax: 3,
  };
}

/** An RSA key signs in two ways that are still one (RFC 8332). Kinds that are not here ssh2 does not know. */
const ALGORITHMS: ReadonlyMap<string, readonly ServerHostKeyAlgorithm[]> = new Map([
  ["ssh-ed25519", ["ssh-ed25519"]],
  ["ecdsa-sha2-nistp256", ["ecdsa-sha2-nistp256"]],
  ["ecdsa-sha2-nistp384", ["ecdsa-sha2-nistp384"]],
  ["ecdsa-sha2-nistp521", ["ecdsa-sha2-nistp521"]],
  ["ssh-rsa", ["rsa-sha2-512", "rsa-sha2-256"]],
]);

async function openChannel(client: Client, passage: Passage): Promise<ClientChannel> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientChannel>();
  client.once("close", () => reject(brokenOff(passage)));
  client.forwardOut("127.0.0.1", 0, passage.host, passage.port, (error, channel) => {
    if (error === undefined) resolve(channel);
    else reject(notForwarded(passage, error));
  });
  return promise;
}

function keyRefused(passage: Passage, keys: HostKeys, key: Buffer): PvferryError | null {
  const { host, port } = passage.proxy;
  const verdict = keys.judge(host, port, key);
  if (verdict === "known") return null;
  const hows: Readonly<Record<Exclude<KeyVerdict, "known">, string>> = {
    unknown: "shows a host key that is not known here",
    changed:
      "shows another host key than the one that is known here: it was set up anew, or somebody is in between",
    revoked: "shows a host key that was revoked",
  };
  return new PvferryError({
    code: 22,
    message: `The proxy ${passage.name} ${hows[verdict]} (${fingerprint(key)})`,
    next:
      "Compare it with what the bastion's owner says (ssh-keygen -lf on its host key), then give the fingerprint " +
      "with --ssh-host-key, or add the key to the file of --ssh-known-hosts.",
  });
}

function failure(passage: Passage, cause: Error): PvferryError {
  const level: unknown = Reflect.get(cause, "level");
  if (level === "client-authentication") {
    return proxyError(passage, {
      how: `does not let user ${passage.proxy.user ?? '""'} in with what was offered`,
      next: "Check the user, and give its key with --ssh-key, an agent in SSH_AUTH_SOCK, or its password in --via-file.",
      temporary: false,
      cause,
    });
  }
  if (level === "client-socket" || level === "client-timeout") return brokenOff(passage, cause);
  return proxyError(passage, {
    how: `does not complete the SSH handshake (${harmlessText(cause.message)})`,
    next: "Check that an SSH server listens there, and that the key in --ssh-key is one without a passphrase.",
    temporary: false,
    cause,
  });
}

/** RFC 4254, section 5.1. */
const PROHIBITED = 1;

function notForwarded(passage: Passage, cause: Error): PvferryError {
  if (Reflect.get(cause, "reason") === PROHIBITED) {
    return proxyError(passage, {
      how: `does not forward connections to ${passage.address}`,
      next: "Ask whoever runs the bastion to set AllowTcpForwarding, and PermitOpen for this address.",
      temporary: false,
      cause,
    });
  }
  return proxyError(passage, {
    how: `could not connect to ${passage.address} (${harmlessText(words(cause))})`,
    next: "Check that the target listens there, and that the bastion can resolve and reach it.",
    temporary: true,
    cause,
  });
}

/** The server's own, without what the library puts before them. */
function words({ message }: Error): string {
  return message.replace(/^\(SSH\) Channel open failure: /, "");
}
