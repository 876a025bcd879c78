/** Certificates of those in between, by openssl: nobody's agents trust them by themselves. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

function make(folder: string, name: string, options: readonly string[]): Authority {
  const [certificate, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const pair = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const files = ["-keyout", key, "-out", certificate];
  execFileSync("openssl", ["req", "-x509", ...pair, ...files, "-days", "2", ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return { certificate, key };
}

/** Files in a folder: a CA. */
export function makeAuthority(folder: string, name: string): Authority {
  return make(folder, name, ["-subj", `/CN=${name}`]);
}

/** A certificate of a server for its name and addresses, with its key, in one file as haproxy and squid take it. */
export function issueServer(
  folder: string,
  authority: Authority,
  name: string,
  addresses: readonly string[] = [],
): string {
  const names = [`DNS:${name}`, ...addresses.map((address) => `IP:${address}`)];
  const issuer = ["-CA", authority.certificate, "-CAkey", authority.key];
  const extensions = [
    "basicConstraints=critical,CA:false",
    "extendedKeyUsage=serverAuth",
    `subjectAltName=${names.join(",")}`,
  ].flatMap((extension) => ["-addext", extension]);
  const made = make(folder, name, [...issuer, "-subj", `/CN=${name}`, ...extensions]);
  const file = join(folder, `${name}.pem`);
  writeFileSync(file, readFileSync(made.certificate, "utf8") + readFileSync(made.key, "utf8"));
  return file;
}
