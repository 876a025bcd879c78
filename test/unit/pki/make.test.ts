import { execFile } from "node:child_process";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";

import { beforeAll, expect, test } from "vitest";

import { makePki, type Pki } from "../../../src/pki/make.ts";
import { describeWith } from "../../bed/needs.ts";
import { scratch } from "../../bed/scratch.ts";

const TRANSFER = "0a6c1f62-3f5b-4c0e-8f7e-2f43c3a0d3b1";
const run = promisify(execFile);

let pki: Pki;
beforeAll(async () => {
  pki = await makePki(TRANSFER, 30);
});

test("keys are RSA-3072 and belong to their certificates; serials are random", () => {
  const pems = [pki.ca.certificate, pki.leaves.source.certificate, pki.leaves.target.certificate];
  const [ca, ...leaves] = pems.map((pem) => new X509Certificate(pem));
  const keys = [pki.ca.keys.privateKey, pki.leaves.source.key, pki.leaves.target.key];
  for (const [at, certificate] of [ca, ...leaves].entries()) {
    const key = createPrivateKey(keys[at] ?? "");
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(3072);
    expect(certificate?.checkPrivateKey(key)).toBe(true);
    expect(certificate?.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  }
  expect(new Set([ca, ...leaves].map((each) => each?.serialNumber)).size).toBe(3);
});

test("valid from an hour ago, for as many days as asked", () => {
  const { validFromDate, validToDate } = new X509Certificate(pki.leaves.source.certificate);
  const sinceBegin = Date.now() - validFromDate.getTime();
  expect(sinceBegin).toBeGreaterThanOrEqual(3_600_000);
  expect(sinceBegin).toBeLessThan(3_700_000);
  const untilEnd = validToDate.getTime() - Date.now();
  expect(untilEnd).toBeGreaterThan(30 * 86_400_000 - 60_000);
  expect(untilEnd).toBeLessThanOrEqual(30 * 86_400_000);
});

describeWith({ programs: ["openssl"] }, "as openssl sees it", () => {
  async function openssl(...args: readonly string[]): Promise<string> {
    using files = scratch();
    writeFileSync(files.at("ca.crt"), pki.ca.certificate);
    writeFileSync(files.at("source.crt"), pki.leaves.source.certificate);
    writeFileSync(files.at("target.crt"), pki.leaves.target.certificate);
    const { stdout } = await run("openssl", args, { cwd: files.path });
    return stdout;
  }

  test.for(["source", "target"] as const)("%s may be client and server", async (role) => {
    for (const purpose of ["sslclient", "sslserver"]) {
      const args = ["verify", "-x509_strict", "-CAfile", "ca.crt", "-purpose", purpose];
      expect(await openssl(...args, `${role}.crt`)).toContain("OK");
    }
  });

  test("a leaf cannot issue, and the CA is no leaf", async () => {
    const args = ["verify", "-x509_strict", "-CAfile", "source.crt", "target.crt"];
    await expect(openssl(...args)).rejects.toThrow(/error/);
  });

  test("the leaf's extensions", async () => {
    const text = await openssl("x509", "-in", "source.crt", "-noout", "-text");
    expect(text).toContain("Signature Algorithm: sha256WithRSAEncryption");
    expect(text).toContain(`URI:pvferry://${TRANSFER}/source`);
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature\n/);
    expect(text).toMatch(
      /Extended Key Usage: \n\s+TLS Web Server Authentication, TLS Web Client Authentication/,
    );
    expect(text).toContain("Subject Key Identifier");
    expect(text).not.toContain("DNS:");
  });

  test("the CA's extensions, and that the leaf names its key", async () => {
    const text = await openssl("x509", "-in", "ca.crt", "-noout", "-text");
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(text).toMatch(/Key Usage: critical\s+Certificate Sign\n/);
    const own = /Subject Key Identifier: \n\s+([0-9A-F:]+)/.exec(text)?.[1];
    const leaf = await openssl("x509", "-in", "source.crt", "-noout", "-text");
    expect(/Authority Key Identifier: \n\s+(?:keyid:)?([0-9A-F:]+)/.exec(leaf)?.[1]).toBe(own);
  });
});
