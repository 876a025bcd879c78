import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { fingerprint, hostKeys } from "../../../src/config/known-hosts.ts";
import { scratch } from "../../bed/scratch.ts";

interface Key {
  /** "ssh-ed25519 AAAA..." */
  readonly line: string;
  readonly blob: Buffer;
}

/** Made by OpenSSH. */
function makeKey(folder: string, name: string, type = "ed25519"): Key {
  const file = `${folder}/${name}`;
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-f", file]);
  const [kind = "", base64 = ""] = readFileSync(`${file}.pub`, "utf8").split(" ");
  return { line: `${kind} ${base64}`, blob: Buffer.from(base64, "base64") };
}

describe("known hosts", () => {
  test("are found by name, port and pattern, as OpenSSH writes them", () => {
    using folder = scratch();
    const key = makeKey(folder.path, "a");
    const other = makeKey(folder.path, "b");
    const keys = hostKeys(
      `# a comment\n\nbastion,10.0.0.1 ${key.line} somebody\n[bastion]:2222 ${key.line}\n*.example,!bad.example ${key.line}\n`,
      [],
    );
    expect(keys.judge("bastion", 22, key.blob)).toBe("known");
    expect(keys.judge("Bastion", 22, key.blob)).toBe("known");
    expect(keys.judge("10.0.0.1", 22, key.blob)).toBe("known");
    expect(keys.judge("bastion", 2222, key.blob)).toBe("known");
    expect(keys.judge("a.example", 22, key.blob)).toBe("known");
    expect(keys.judge("bad.example", 22, key.blob)).toBe("unknown");
    expect(keys.judge("bastion", 2200, key.blob)).toBe("unknown");
    expect(keys.judge("elsewhere", 22, key.blob)).toBe("unknown");
    expect(keys.judge("bastion", 22, other.blob)).toBe("changed");
    expect(keys.kindsOf("bastion", 22)).toEqual(["ssh-ed25519"]);
    expect(keys.kindsOf("elsewhere", 22)).toEqual([]);
  });

  test("may be hashed, by ssh-keygen itself", () => {
    using folder = scratch();
    const key = makeKey(folder.path, "a");
    const file = `${folder.path}/known_hosts`;
    writeFileSync(file, `bastion ${key.line}\n[bastion]:2222 ${key.line}\n`);
    execFileSync("ssh-keygen", ["-H", "-f", file], { stdio: "ignore" });
    const text = readFileSync(file, "utf8");
    expect(text).toMatch(/^\|1\|/);
    const keys = hostKeys(text, []);
    expect(keys.judge("bastion", 22, key.blob)).toBe("known");
    expect(keys.judge("bastion", 2222, key.blob)).toBe("known");
    expect(keys.judge("bastions", 22, key.blob)).toBe("unknown");
  });

  test("another kind of key is unknown, not changed; a revoked one nobody may use", () => {
    using folder = scratch();
    const key = makeKey(folder.path, "a");
    const rsa = makeKey(folder.path, "r", "rsa");
    const keys = hostKeys(`bastion ${key.line}\n@revoked * ${rsa.line}\nbroken line\n`, []);
    expect(keys.judge("bastion", 22, rsa.blob)).toBe("revoked");
    expect(hostKeys(`bastion ${key.line}`, []).judge("bastion", 22, rsa.blob)).toBe("unknown");
  });

  test("a fingerprint is ssh-keygen's, and trusts its key for any host", () => {
    using folder = scratch();
    const key = makeKey(folder.path, "a");
    const listed = execFileSync("ssh-keygen", ["-l", "-f", `${folder.path}/a.pub`], {
      encoding: "utf8",
    });
    expect(listed).toContain(` ${fingerprint(key.blob)} `);
    const keys = hostKeys("", [fingerprint(key.blob)]);
    expect(keys.judge("anywhere", 22, key.blob)).toBe("known");
    expect(keys.judge("anywhere", 22, makeKey(folder.path, "b").blob)).toBe("unknown");
  });
});
