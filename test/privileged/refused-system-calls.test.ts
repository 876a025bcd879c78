/** Kernels and seccomp filters that are older than openat2 (437) and faccessat2 (439): a real filter refuses them. */
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import { mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { askTool } from "../judge/run-tool.ts";
import { makeVolume } from "../volume/make-volume.ts";

const REFUSE = fileURLToPath(new URL("../bed/refuse-system-calls.pl", import.meta.url));
const NEWER_CALLS = "437,439";
const { ENOSYS, EPERM } = constants.errno;

/** Whether the filter is one: perl asks for openat2 itself. */
async function answerToOpenat2(refusal: readonly [string, ...string[]]): Promise<string> {
  const script = `my ($path, $how) = ("/", "\\0" x 24);
    print syscall(437, -100, $path, $how, 24) < 0 ? $! + 0 : 0`;
  const [command, ...args] = [...refusal, "perl", "-e", script];
  return (await askTool({ command, args })).output;
}

describeWith({ root: true, programs: ["perl", "rsync", "getfattr"] }, "a copy", () => {
  it.each([
    ["no kernel had them (ENOSYS)", ENOSYS],
    ["a filter forbade them (EPERM)", EPERM],
  ])("is as faithful as if %s", async (_, errno) => {
    const wrapper: readonly [string, ...string[]] = ["perl", REFUSE, `${errno}`, NEWER_CALLS];
    expect(await answerToOpenat2(wrapper)).toBe(`${errno}`);
    using source = mountFilesystem({ kind: "tmpfs" });
    using target = mountFilesystem({ kind: "tmpfs" });
    await makeVolume(source.path, "every-kind");
    const ended = await pvferry(["copy", source.path, target.path, "--json"], { wrapper });
    expect(receiptOf(ended).items).toEqual([]);
    expect(ended.code, ended.stderr).toBe(0);
    await expectFaithful(source.path, target.path);
  });
});
