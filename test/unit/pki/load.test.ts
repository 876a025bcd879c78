import { cpSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { PvferryError } from "../../../src/core/errors.ts";
import { expiryNotice } from "../../../src/pki/identity.ts";
import { initPki } from "../../../src/pki/init.ts";
import { loadIdentity } from "../../../src/pki/load.ts";
import { refusalOf } from "../../bed/refusal.ts";
import { scratch, type Scratch } from "../../bed/scratch.ts";

const DAY_MS = 86_400_000;
const NEVER = new AbortController().signal;

let files: Scratch;
beforeAll(async () => {
  files = scratch();
  for (const folder of ["one", "other"]) {
    await initPki({ folder: files.at(folder), days: 30, keepCaKey: false }, NEVER);
  }
});
afterAll(() => files[Symbol.dispose]());

let copies = 0;
function copyOfSource(): string {
  copies += 1;
  const folder = files.at(`copy${copies}`);
  cpSync(files.at("one/source"), folder, { recursive: true });
  return folder;
}

function load(folder: string, now = new Date()): ReturnType<typeof loadIdentity> {
  return loadIdentity(folder, "source", () => undefined, now);
}

function refusal(folder: string, now = new Date()): PvferryError {
  return refusalOf(() => load(folder, now));
}

describe("what is refused", () => {
  test("a folder that is not there", () => {
    const missing = refusal(files.at("missing"));
    expect(missing.code).toBe(2);
    expect(missing.message).toContain("there is no folder");
  });

  test("missing files, with the way when it is only one folder too high", () => {
    const folder = copyOfSource();
    rmSync(path.join(folder, "ca.crt"));
    const missing = refusal(folder);
    expect(missing.code).toBe(2);
    expect(missing.message).toContain("ca.crt is missing");
    const tooHigh = refusal(files.at("one"));
    expect(tooHigh.code).toBe(2);
    expect(tooHigh.next).toContain(files.at("one/source"));
  });

  test.for([
    ["tls.crt", "certificate"],
    ["ca.crt", "certificate"],
    ["tls.key", "private key"],
  ] as const)("%s that is no PEM", ([name, word]) => {
    const folder = copyOfSource();
    writeFileSync(path.join(folder, name), "hello");
    const garbage = refusal(folder);
    expect(garbage.code).toBe(2);
    expect(garbage.message).toMatch(new RegExp(`${name.replace(".", "\\.")}.*${word}`));
    truncateSync(path.join(folder, name), 1024 * 1024);
    expect(refusal(folder)).toMatchObject({ code: 2 });
  });

  test("the other side's folder", () => {
    const missing = refusal(files.at("one/target"));
    expect(missing.code).toBe(2);
    expect(missing.message).toContain("certificate of the target, and this is the source");
  });

  test("a key or a CA of another transfer", () => {
    const wrongKey = copyOfSource();
    cpSync(files.at("other/source/tls.key"), path.join(wrongKey, "tls.key"));
    const keyMessage = refusal(wrongKey);
    expect(keyMessage.code).toBe(2);
    expect(keyMessage.message).toContain("not the key of");
    const wrongCa = copyOfSource();
    cpSync(files.at("other/source/ca.crt"), path.join(wrongCa, "ca.crt"));
    const caMessage = refusal(wrongCa);
    expect(caMessage.code).toBe(2);
    expect(caMessage.message).toContain("not issued by");
  });

  test("a certificate that names no transfer", () => {
    const folder = copyOfSource();
    cpSync(path.join(folder, "ca.crt"), path.join(folder, "tls.crt"));
    expect(refusal(folder)).toMatchObject({ code: 2 });
  });

  test("certificates out of their time", () => {
    const late = new Date(Date.now() + 31 * DAY_MS);
    const expired = refusal(files.at("one/source"), late);
    expect(expired.code).toBe(22);
    expect(expired.message).toContain("expired at");
    const early = new Date(Date.now() - DAY_MS);
    const clock = refusal(files.at("one/source"), early);
    expect(clock.code).toBe(22);
    expect(clock.message).toContain("clock");
  });

  test("a key that its caller finds exposed", () => {
    const exposed = (file: string): never => {
      throw new Error(`exposed ${path.basename(file)}`);
    };
    expect(() => loadIdentity(files.at("one/source"), "source", exposed)).toThrow(
      "exposed tls.key",
    );
  });
});

test("certificates that end soon are mentioned, others are not", () => {
  const identity = load(files.at("one/source"));
  expect(expiryNotice(identity)).toBeNull();
  const late = new Date(Date.now() + 29 * DAY_MS);
  expect(expiryNotice(identity, late)).toContain("pki renew");
});
