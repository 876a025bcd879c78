import { X509Certificate } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { initPki } from "../../../src/pki/init.ts";
import { loadIdentity } from "../../../src/pki/load.ts";
import { renewPki } from "../../../src/pki/renew.ts";
import { refusalFrom } from "../../bed/refusal.ts";
import { scratch, type Scratch } from "../../bed/scratch.ts";

const NEVER = new AbortController().signal;
const OPTIONS = { days: 30, keepCaKey: false };
const anybody = (): void => undefined;

let files: Scratch;
beforeAll(() => {
  files = scratch();
});
afterAll(() => files[Symbol.dispose]());

function listing(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted();
}

const BOTH_SIDES = ["source", "target"].flatMap((side) => [
  side,
  ...["ca.crt", "tls.crt", "tls.key"].map((name) => `${side}/${name}`),
]);

test("one folder per side, keys for their owner only, no key of the CA", async () => {
  const folder = files.at("plain");
  const transfer = await initPki({ ...OPTIONS, folder }, NEVER);
  expect(listing(folder)).toEqual(BOTH_SIDES);
  for (const name of ["", "source", "target"]) {
    expect(statSync(path.join(folder, name)).mode & 0o777).toBe(0o700);
  }
  expect(statSync(path.join(folder, "source/tls.key")).mode & 0o777).toBe(0o600);
  for (const role of ["source", "target"] as const) {
    expect(loadIdentity(path.join(folder, role), role, anybody)).toMatchObject({ transfer, role });
  }
});

test("an empty folder is used, an existing PKI is not overwritten, other things are not mixed with", async () => {
  const folder = files.directory("again");
  await initPki({ ...OPTIONS, folder }, NEVER);
  const before = readFileSync(path.join(folder, "source/tls.crt"));
  const occupiedByPki = await refusalFrom(initPki({ ...OPTIONS, folder }, NEVER));
  expect(occupiedByPki.code).toBe(2);
  expect(occupiedByPki.message).toContain("already holds a PKI");
  expect(readFileSync(path.join(folder, "source/tls.crt"))).toEqual(before);
  const occupied = files.directory("occupied");
  writeFileSync(path.join(occupied, "notes"), "");
  await expect(initPki({ ...OPTIONS, folder: occupied }, NEVER)).rejects.toMatchObject({ code: 2 });
});

test("an interrupted run leaves nothing, and neither does one that cannot write", async () => {
  const parent = files.directory("interrupted");
  const stop = new AbortController();
  const running = initPki({ ...OPTIONS, folder: path.join(parent, "pki") }, stop.signal);
  stop.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
  expect(listing(parent)).toEqual([]);
  const nowhere = path.join(parent, "missing", "pki");
  await expect(initPki({ ...OPTIONS, folder: nowhere }, NEVER)).rejects.toMatchObject({ code: 2 });
});

test("renewing with the CA's key keeps the CA: old and new leaves trust each other", async () => {
  const folder = files.at("kept");
  const transfer = await initPki({ ...OPTIONS, folder, keepCaKey: true }, NEVER);
  const old = loadIdentity(path.join(folder, "source"), "source", anybody);
  const renewal = await renewPki({ ...OPTIONS, folder, days: 90 }, NEVER);
  expect(renewal).toEqual({ transfer, sameCa: true });
  const renewed = loadIdentity(path.join(folder, "target"), "target", anybody);
  expect(renewed.notAfter.getTime()).toBeGreaterThan(old.notAfter.getTime());
  const oldCa = new X509Certificate(old.ca);
  expect(new X509Certificate(renewed.certificate).verify(oldCa.publicKey)).toBe(true);
  expect(new X509Certificate(renewed.certificate).checkIssued(oldCa)).toBe(true);
  expect(listing(folder)).toEqual(["ca", "ca/tls.crt", "ca/tls.key", ...BOTH_SIDES]);
});

test("renewing without it makes a new CA for the same transfer", async () => {
  const folder = files.at("thrown");
  const transfer = await initPki({ ...OPTIONS, folder }, NEVER);
  const old = loadIdentity(path.join(folder, "source"), "source", anybody);
  expect(await renewPki({ ...OPTIONS, folder }, NEVER)).toEqual({ transfer, sameCa: false });
  const renewed = loadIdentity(path.join(folder, "target"), "target", anybody);
  expect(renewed.transfer).toBe(transfer);
  expect(
    new X509Certificate(renewed.certificate).verify(new X509Certificate(old.ca).publicKey),
  ).toBe(false);
  expect(existsSync(path.join(folder, "ca"))).toBe(false);
});

test("renewing takes up what a killed renewal left", async () => {
  const folder = files.at("killed");
  const transfer = await initPki({ ...OPTIONS, folder }, NEVER);
  // Killed between the two renames of one part, and after both of another.
  renameSync(path.join(folder, "source"), path.join(folder, ".source.replaced"));
  mkdirSync(path.join(folder, ".target.replaced"));
  expect(await renewPki({ ...OPTIONS, folder }, NEVER)).toMatchObject({ transfer });
  expect(listing(folder)).toEqual(BOTH_SIDES);
});

test("there has to be something to renew", async () => {
  const folder = files.directory("nothing");
  await expect(renewPki({ ...OPTIONS, folder }, NEVER)).rejects.toMatchObject({ code: 2 });
  await expect(renewPki({ ...OPTIONS, folder: files.at("gone") }, NEVER)).rejects.toMatchObject({
    code: 2,
  });
});
