/** What the mount table tells, on real mounts. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";

import { expect, it } from "vitest";

import { privacyOf } from "../../src/host/private-file.ts";
import { relationOf } from "../../src/host/same-folder.ts";
import { describeWith } from "../bed/needs.ts";
import { scratch } from "../bed/scratch.ts";

/** Mounts for as long as the test lasts. */
function mounted(folder: string, ...args: readonly string[]): Disposable {
  mkdirSync(folder, { recursive: true });
  execFileSync("mount", [...args, folder]);
  return { [Symbol.dispose]: () => void execFileSync("umount", [folder]) };
}

describeWith({ root: true }, "mounts", () => {
  it("a bind mount does not hide that one folder lies inside the other", () => {
    using files = scratch();
    const outer = files.directory("outer");
    files.directory("outer/inner/deep");
    using _ = mounted(files.at("elsewhere"), "--bind", files.at("outer/inner"));
    expect(relationOf(outer, files.at("elsewhere"))).toBe("second-inside-first");
    expect(relationOf(outer, files.at("elsewhere/deep"))).toBe("second-inside-first");
    expect(relationOf(files.at("elsewhere/deep"), outer)).toBe("first-inside-second");
    expect(relationOf(files.at("elsewhere"), files.at("outer/inner"))).toBe("same");
    expect(relationOf(files.directory("other"), files.at("elsewhere"))).toBe("apart");
  });

  it("a key of mode 0644 is accepted on a read-only tmpfs and nowhere else", () => {
    using files = scratch();
    const folder = files.at("tls dir");
    using _ = mounted(folder, "-t", "tmpfs", "tmpfs");
    writeFileSync(`${folder}/tls.key`, "", { mode: 0o644 });
    expect(privacyOf(`${folder}/tls.key`).type).toBe("exposed");
    execFileSync("mount", ["-o", "remount,ro", folder]);
    expect(privacyOf(`${folder}/tls.key`).type).toBe("kubelet-mount");
  });
});
