/** A transfer's CA and its two leaves as X.509 certificates. */

import { Buffer } from "node:buffer";
import { randomBytes, sign } from "node:crypto";

import forge from "node-forge";

import { LIMITS } from "../config/limits.ts";
import { leafUri, type Role } from "../core/transfer-id.ts";
import type { KeyPair } from "./keys.ts";

export interface Validity {
  readonly from: Date;
  readonly to: Date;
}

/** A CA that can issue: only in memory, unless its key was to be kept. */
export interface Issuer {
  readonly transfer: string;
  readonly keys: KeyPair;
  readonly certificate: string;
}

/** Certificates count days of 24 hours, whatever the clocks do in between. */
const DAY_MS = 24 * 60 * 60 * 1_000;

export function validityFrom(now: Date, days: number): Validity {
  return {
    from: new Date(now.getTime() - LIMITS.certificateBackdateMs),
    to: new Date(now.getTime() + days * DAY_MS),
  };
}

/** PEM. Signs leaves and nothing else: no CA can stand below it (pathLenConstraint 0). */
export function makeCaCertificate(transfer: string, keys: KeyPair, validity: Validity): string {
  const certificate = blank(keys, validity);
  const subject = subjectOf(transfer, "CA");
  certificate.setSubject(subject);
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: "basicConstraints", critical: true, cA: true, pathLenConstraint: 0 },
    { name: "keyUsage", critical: true, keyCertSign: true },
    { name: "subjectKeyIdentifier" },
    { name: "authorityKeyIdentifier", keyIdentifier: true },
  ]);
  return signed(certificate, keys.privateKey);
}

/** Serves as TLS client and as TLS server, since either side may listen. */
export function makeLeafCertificate(
  issuer: Issuer,
  role: Role,
  keys: KeyPair,
  validity: Validity,
): string {
  const { transfer } = issuer;
  const ca = forge.pki.certificateFromPem(issuer.certificate);
  const certificate = blank(keys, validity);
  certificate.setSubject(subjectOf(transfer, role));
  certificate.setIssuer(ca.subject.attributes);
  certificate.setExtensions([
    { name: "basicConstraints", critical: true, cA: false },
    { name: "keyUsage", critical: true, digitalSignature: true },
    { name: "extKeyUsage", serverAuth: true, clientAuth: true },
    { name: "subjectAltName", altNames: [{ type: SAN_URI, value: leafUri({ transfer, role }) }] },
    { name: "subjectKeyIdentifier" },
    {
      name: "authorityKeyIdentifier",
      keyIdentifier: ca.generateSubjectKeyIdentifier().getBytes(),
    },
  ]);
  return signed(certificate, issuer.keys.privateKey);
}

/** GeneralName's tag for a uniformResourceIdentifier (RFC 5280, 4.2.1.6). */
const SAN_URI = 6;

function blank(keys: KeyPair, validity: Validity): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey);
  certificate.serialNumber = randomSerial();
  certificate.validity.notBefore = validity.from;
  certificate.validity.notAfter = validity.to;
  return certificate;
}

/** 16 bytes, positive, without a leading zero: DER wants the shortest form. */
function randomSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("hex");
}

/** A common name holds 64 characters at most, which is what a transfer id may have without the word beside it. */
function subjectOf(transfer: string, part: "CA" | Role): forge.pki.CertificateField[] {
  return [
    { name: "organizationName", value: "pvferry" },
    { name: "organizationalUnitName", value: transfer },
    { name: "commonName", value: `pvferry ${part}` },
  ];
}

/** forge builds what is to be signed; the signature itself is OpenSSL's, forge's own takes 0.1 s. */
function signed(certificate: forge.pki.Certificate, privateKey: string): string {
  const key = {
    sign: () => {
      const der = forge.asn1.toDer(certificate.tbsCertificate).getBytes();
      return sign("sha256", Buffer.from(der, "binary"), privateKey).toString("binary");
    },
  };
  certificate.sign(key as unknown as forge.pki.rsa.PrivateKey, forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n");
}
