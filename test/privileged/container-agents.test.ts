/** Both agents in containers of their own, with no more rights than a restricted pod has. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { familyOf, stillRunning } from "../agent/processes.ts";
import { receiptOf } from "../agent/receipt.ts";
import type { Agent } from "../agent/run-pvferry.ts";
import { buildImage, IMAGE, RESTRICTED, type ImageBed } from "../bed/container-image.ts";
import type { Bed } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { networkNamespace, type NetworkNamespace } from "../bed/network-namespace.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { secretMount } from "../bed/secret-mount.ts";
import { compareTrees } from "../judge/compare-trees.ts";
import { expectFaithful, expectNothingHalf } from "../judge/expect-faithful.ts";
import { writePlainTree } from "../volume/plain.ts";

const AGENT = "12345:0";
const MIB = 1024 * 1024;
const WITHIN_MS = 2000;
/** What podman takes to pass the signal on and to clear up. */
const SLACK_MS = 1500;
const SIDES = ["source", "target"] as const;
type Side = (typeof SIDES)[number];

async function volumeOf(folder: string, megabytes: number): Promise<void> {
  const sizes = { largeFiles: 2, largeBytes: (megabytes / 2) * MIB, smallFiles: 300 };
  await writePlainTree(folder, sizes);
  execFileSync("chown", ["-R", AGENT, folder]);
}

const programs = ["podman", "ip", "runc", "rsync", "getfattr", "getfacl"];

describeWith({ root: true, programs }, "agents in containers", () => {
  let image: ImageBed;
  let keys: { readonly [side in Side]: Bed };
  let network: NetworkNamespace;
  const shared = scratch();
  const volume = shared.directory("volume");

  beforeAll(async () => {
    network = networkNamespace();
    image = await buildImage();
    await volumeOf(volume, 30);
    const pki = await initPki(shared.at("pki"));
    keys = { source: secretMount(`${pki}/source`), target: secretMount(`${pki}/target`) };
  });

  afterAll(async () => {
    SIDES.forEach((side) => keys[side][Symbol.dispose]());
    shared[Symbol.dispose]();
    network[Symbol.dispose]();
    await image[Symbol.asyncDispose]();
  });

  const startAgent = (side: Side, folder: string): Agent => {
    const tls = `--volume=${keys[side].path}:/tls:ro`;
    const mount = `--volume=${folder}:/volume${side === "source" ? ":ro" : ""}`;
    // A killed test run must not leave agents that wait for each other.
    const where = [`--name=${side}`, "--timeout=120", `--network=ns:${network.path}`, tls, mount];
    const to = side === "source" ? ["--to=127.0.0.1:6443", "--connect-timeout=30s"] : [];
    const command = [side, "/volume", "--tls=/tls", "--json", ...to];
    return image.containers.start("run", "--rm", ...where, ...RESTRICTED, IMAGE, ...command);
  };

  const startTarget = async (place: Scratch): Promise<Agent> => {
    const folder = place.directory("target");
    execFileSync("chown", [AGENT, folder]);
    const agent = startAgent("target", folder);
    await agent.says(/^Listening on /m);
    return agent;
  };

  const pidOf = async (side: Side): Promise<number> =>
    Number(await image.containers.podman("inspect", "--format={{.State.Pid}}", side));

  const expectNoTrace = async (processes: readonly number[]): Promise<void> => {
    expect(stillRunning(processes)).toEqual([]);
    expect(await image.containers.podman("ps", "--all", "--quiet")).toBe("");
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(
      `${image.containers.path}/storage/overlay/`,
    );
  };

  it("move a volume faithfully, with no rights and nothing else to write to", async () => {
    using place = scratch();
    await using target = await startTarget(place);
    const pid = await pidOf("target");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    expect(status).toMatch(/^Uid:\t12345\t12345\t12345\t12345$/m);
    expect(status).toMatch(/^CapBnd:\t0{16}$/m);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    await using source = startAgent("source", volume);
    const [sent, received] = await Promise.all([source.ended, target.ended]);
    expect([sent.code, received.code], `${sent.stderr}\n${received.stderr}`).toEqual([0, 0]);
    expect(receiptOf(received).roots.source).toEqual(receiptOf(sent).roots.target);
    await expectFaithful(volume, place.at("target"));
    await expectNoTrace([pid]);
  });

  it("name the file whose owner they could not keep, and move its contents", async () => {
    using place = scratch();
    const folder = place.directory("source");
    writeFileSync(`${folder}/ours`, "one");
    writeFileSync(`${folder}/theirs`, "two");
    execFileSync("chown", ["-R", AGENT, folder]);
    chownSync(`${folder}/theirs`, 1000, 0);
    await using target = await startTarget(place);
    await using source = startAgent("source", folder);
    const [sent, received] = await Promise.all([source.ended, target.ended]);
    expect([sent.code, received.code], `${sent.stderr}\n${received.stderr}`).toEqual([41, 41]);
    const items = receiptOf(received).items.map(({ path, errno }) => ({ path, errno }));
    expect(items).toEqual([{ path: "theirs", errno: "EPERM" }]);
    const differences = await compareTrees(folder, place.at("target"), { rsync: false });
    // getfacl names the owner as well.
    const expected = [
      "uid: 1000 | 12345",
      expect.stringMatching(/^ACL: # owner: 1000, .* owner: 12345,/),
    ];
    expect(differences).toEqual(expected.map((what: unknown) => ({ path: "theirs", what })));
  });

  it.each(SIDES)("a %s that waits is one process, and SIGTERM ends it at once", async (side) => {
    using place = scratch();
    await using agent = side === "target" ? await startTarget(place) : startAgent("source", volume);
    if (side === "source") await agent.says(/127\.0\.0\.1:6443/);
    const pid = await pidOf(side);
    expect(familyOf(pid), "no child that PID 1 would have to reap").toEqual([pid]);
    const sent = performance.now();
    await image.containers.podman("stop", "--time=20", side).catch(() => undefined);
    const ended = await agent.ended;
    expect(performance.now() - sent).toBeLessThan(WITHIN_MS + SLACK_MS);
    expect(ended.code, ended.stderr).toBe(143);
    await expectNoTrace([pid]);
    if (side === "target") expect(readdirSync(place.at("target"))).toEqual([]);
  });

  it("a target under an init obeys a SIGTERM that comes before Node is there", async () => {
    using place = scratch();
    // It must be a volume that can be used: on a slow machine the target comes to look at it before the signal does.
    const usable = place.directory("target");
    chmodSync(usable, 0o777);
    const { podman } = image.containers;
    const tls = `--volume=${keys.target.path}:/tls:ro`;
    const where = [`--volume=${usable}:/volume`, tls, "--network=none", "--name=early"];
    const command = [...RESTRICTED, IMAGE, "target", "/volume", "--tls=/tls"];
    await podman("run", "--detach", "--init", ...where, ...command);
    try {
      await podman("kill", "--signal=TERM", "early");
      expect(await podman("wait", "early")).toBe("143\n");
    } finally {
      await podman("rm", "--force", "early");
    }
  });

  it.each(SIDES)("a %s that gets SIGTERM in the middle stops both sides", async (side) => {
    using place = scratch();
    const large = place.directory("large");
    await volumeOf(large, 400);
    await using target = await startTarget(place);
    await using source = startAgent("source", large);
    while (!existsSync(`${place.at("target")}/.pvferry`)) {
      expect(source.isRunning(), source.stderr()).toBe(true);
      await sleep(2);
    }
    const sent = performance.now();
    await image.containers.podman("stop", "--time=20", side).catch(() => undefined);
    const ended = { source: await source.ended, target: await target.ended };
    expect(performance.now() - sent).toBeLessThan(WITHIN_MS + SLACK_MS);
    const other = side === "source" ? "target" : "source";
    expect(ended[side].code, ended[side].stderr).toBe(143);
    expect(ended[other].code, ended[other].stderr).toBe(24);
    await expectNothingHalf(large, place.at("target"));
    await expectNoTrace([]);
  });
});
