/** Certificates that pvferry would not make, by openssl: other transfers, wrong roles, times that are over. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface LeafOptions {
  /** Folder with tls.crt and tls.key of the CA that signs. */
  readonly ca: string;
  /** Made: tls.crt, tls.key and ca.crt as an agent wants them. */
  readonly out: string;
  /** URI SAN; null for a certificate without one. */
  readonly uri: string | null;
  /** As openssl writes them, YYYYMMDDHHMMSSZ. */
  readonly from?: string;
  readonly to?: string;
}

function openssl(cwd: string, ...args: string[]): void {
  execFileSync("openssl", args, { cwd, stdio: ["ignore", "ignore", "pipe"] });
}

function stamp(daysFromNow: number): string {
  const moment = new Date(Date.now() + daysFromNow * 86_400_000).toISOString();
  return `${moment.slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
}

function configuration(options: LeafOptions): string {
  const name = options.uri === null ? "" : `subjectAltName = URI:${options.uri}\n`;
  return `[ca]
default_ca = issuer
[issuer]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = anything
x509_extensions = leaf
unique_subject = no
[anything]
commonName = supplied
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
${name}`;
}

export function issueLeaf(options: LeafOptions): string {
  const { out, ca } = options;
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "openssl.cnf"), configuration(options));
  writeFileSync(join(out, "index.txt"), "");
  const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "tls.key", "-out", "request.pem"];
  openssl(out, "req", "-new", ...key, "-subj", "/CN=leaf", "-batch");
  const times = ["-startdate", options.from ?? stamp(-1), "-enddate", options.to ?? stamp(1)];
  const signer = ["-cert", join(ca, "tls.crt"), "-keyfile", join(ca, "tls.key")];
  openssl(
    out,
    "ca",
    "-batch",
    "-notext",
    "-config",
    "openssl.cnf",
    "-in",
    "request.pem",
    "-out",
    "tls.crt",
    ...times,
    ...signer,
  );
  copyFileSync(join(ca, "tls.crt"), join(out, "ca.crt"));
  return out;
}

export const EXPIRED = { from: stamp(-20), to: stamp(-10) };
