/**
 * Which keys a bastion may have: OpenSSH's known_hosts (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") and fingerprints, as
 * `ssh-keygen -l` prints them. A key that neither of them names is not trusted. Pure.
 */

import { Buffer } from "node:buffer";
import { createHash, createHmac } from "node:crypto";

/** "changed": other keys of this kind are known for the host. "revoked": the file says that nobody may use it. */
export type KeyVerdict = "known" | "unknown" | "changed" | "revoked";

export interface HostKeys {
  /** `key` in the wire format of RFC 4253, section 6.6. */
  judge(host: string, port: number, key: Buffer): KeyVerdict;
  /** The kinds of key, such as "ssh-ed25519", that the file knows of this host; none where any may be the right one. */
  kindsOf(host: string, port: number): readonly string[];
}

interface Entry {
  readonly marker: string | null;
  readonly names: string;
  readonly kind: string;
  readonly key: Buffer;
}

/** `fingerprints`: "SHA256:" and base64 without padding; any host may have such a key. */
export function hostKeys(knownHosts: string, fingerprints: readonly string[]): HostKeys {
  const entries = knownHosts.split("\n").flatMap(parseEntry);
  const of = (host: string, port: number): readonly Entry[] =>
    entries.filter(({ names }) => namesHost(names, nameOf(host, port)));
  return {
    judge: (host, port, key) => {
      const known = of(host, port);
      const same = known.filter((entry) => entry.key.equals(key));
      if (same.some(({ marker }) => marker === "@revoked")) return "revoked";
      if (fingerprints.includes(fingerprint(key))) return "known";
      if (same.some(({ marker }) => marker === null)) return "known";
      const kind = kindOf(key);
      return known.some((entry) => entry.kind === kind && entry.marker === null)
        ? "changed"
        : "unknown";
    },
    kindsOf: (host, port) =>
      fingerprints.length > 0
        ? []
        : of(host, port).flatMap(({ marker, kind }) => (marker === null ? [kind] : [])),
  };
}

/** As `ssh-keygen -l -E sha256` prints it. */
export function fingerprint(key: Buffer): string {
  const digest = createHash("sha256").update(key).digest("base64");
  return `SHA256:${digest.replace(/=+$/, "")}`;
}

/** A line that is a comment, or damaged, names no key. */
function parseEntry(line: string): Entry[] {
  const fields = line.trim().split(/\s+/);
  const marker = fields[0]?.startsWith("@") === true ? (fields.shift() ?? null) : null;
  const [names = "", kind = "", key = ""] = fields;
  if (key === "" || names.startsWith("#")) return [];
  return [{ marker, names, kind, key: Buffer.from(key, "base64") }];
}

/** OpenSSH writes down a port only when it is another one than its own. */
function nameOf(host: string, port: number): string {
  const name = host.toLowerCase();
  return port === 22 ? name : `[${name}]:${port}`;
}

function namesHost(names: string, name: string): boolean {
  if (names.startsWith("|1|")) return isHashOf(names, name);
  const patterns = names.toLowerCase().split(",");
  const isExcluded = patterns.some((one) => one.startsWith("!") && matches(one.slice(1), name));
  return !isExcluded && patterns.some((one) => matches(one, name));
}

/** "|1|salt|HMAC-SHA1 of the name", both base64. */
function isHashOf(hashed: string, name: string): boolean {
  const [, , salt = "", hash = ""] = hashed.split("|");
  const own = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
  return own.equals(Buffer.from(hash, "base64"));
}

/** `*` and `?` as in a shell; everything else stands for itself. */
function matches(pattern: string, name: string): boolean {
  const source = pattern.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll("*", ".*").replaceAll("?", ".")}$`).test(name);
}

/** The first string of the key's blob. */
function kindOf(key: Buffer): string {
  const length = key.length < 4 ? 0 : key.readUInt32BE(0);
  return key.subarray(4, 4 + Math.min(length, 64)).toString("latin1");
}
