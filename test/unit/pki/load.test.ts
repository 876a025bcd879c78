import { cpSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { expiryNotice } from "../../../src/pki/identity.ts";
import { initPki } from "../../../src/pki/init.ts";
import { loadIdentity } from "../../../src/pki/load.ts";
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

function refusal(folder: string, now = new Date()): unknown {
  try {
    load(folder, now);
  } catch (error) {
    return error;
  }
  return "nothing was refused";
}

describe("what is refused", () => {
  test("a folder that is not there", () => {
    const message = expect.stringContaining("there is no folder");
    expect(refusal(files.at("missing"))).toMatchObject({ code: 2, message });
  });

  test("missing files, with the way when it is only one folder too high", () => {
    const folder = copyOfSource();
    rmSync(path.join(folder, "ca.crt"));
    const message = expect.stringContaining("ca.crt is missing");
    expect(refusal(folder)).toMatchObject({ code: 2, message });
    const next = expect.stringContaining(files.at("one/source"));
    expect(refusal(files.at("one"))).toMatchObject({ code: 2, next });
  });

  test.for([
    ["tls.crt", "certificate"],
    ["ca.crt", "certificate"],
    ["tls.key", "private key"],
  ] as const)("%s that is no PEM", ([name, word]) => {
    const folder = copyOfSource();
    writeFileSync(path.join(folder, name), "hello");
    const message = expect.stringMatching(new RegExp(`${name.replace(".", "\\.")}.*${word}`));
    expect(refusal(folder)).toMatchObject({ code: 2, message });
    truncateSync(path.join(folder, name), 1024 * 1024);
    expect(refusal(folder)).toMatchObject({ code: 2 });
  });

  test("the other side's folder", () => {
    const message = expect.stringContaining("certificate of the target, and this is the source");
    expect(refusal(files.at("one/target"))).toMatchObject({ code: 2, message });
  });

  test("a key or a CA of another transfer", () => {
    const wrongKey = copyOfSource();
    cpSync(files.at("other/source/tls.key"), path.join(wrongKey, "tls.key"));
    const keyMessage = expect.stringContaining("not the key of");
    expect(refusal(wrongKey)).toMatchObject({ code: 2, message: keyMessage });
    const wrongCa = copyOfSource();
    cpSync(files.at("other/source/ca.crt"), path.join(wrongCa, "ca.crt"));
    const caMessage = expect.stringContaining("not issued by");
    expect(refusal(wrongCa)).toMatchObject({ code: 2, message: caMessage });
  });

  test("a certificate that names no transfer", () => {
    const folder = copyOfSource();
    cpSync(path.join(folder, "ca.crt"), path.join(folder, "tls.crt"));
    expect(refusal(folder)).toMatchObject({ code: 2 });
  });

  test("certificates out of their time", () => {
    const late = new Date(Date.now() + 31 * DAY_MS);
    const expired = expect.stringContaining("expired at");
    expect(refusal(files.at("one/source"), late)).toMatchObject({ code: 22, message: expired });
    const early = new Date(Date.now() - DAY_MS);
    const clock = expect.stringContaining("clock");
    expect(refusal(files.at("one/source"), early)).toMatchObject({ code: 22, message: clock });
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
