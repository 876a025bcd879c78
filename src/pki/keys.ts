/** Keys are OpenSSL's: forge would take seconds for each, and block meanwhile. */

import { createPublicKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";

export interface KeyPair {
  /** PKCS#8 and SubjectPublicKeyInfo, PEM. */
  readonly privateKey: string;
  readonly publicKey: string;
}

/** What certificates of public authorities require at least, for validity up to 2030 and after. */
const RSA_BITS = 3_072;

/** Runs on libuv's threads: several at once use several CPUs. */
export async function newKeyPair(): Promise<KeyPair> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
}

/** The public half follows from the private one. Throws what OpenSSL says when the PEM is no private key. */
export function keyPairOf(privateKey: string): KeyPair {
  const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
  return { privateKey, publicKey };
}
