/** The bed of network namespaces on trial: what its tests believe of it, seen with programs that are not ours. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { stillRunning } from "../agent/processes.ts";
import { describeWith } from "../bed/needs.ts";
import { networkNamespace } from "../bed/network-namespace.ts";
import { curl } from "../bed/network/curl.ts";
import {
  DROPPED,
  fault,
  longerThan,
  PROHIBITED,
  RESET,
  UNREACHABLE,
} from "../bed/network/fault.ts";
import {
  greetedClusters,
  greetingFor,
  GREETER_PORT,
  GREETER_URLS,
} from "../bed/network/greeted-clusters.ts";
import { greeter } from "../bed/network/greeter.ts";
import {
  ROUTER_NAME,
  TARGET_NAME,
  TO_SOURCE,
  TO_TARGET,
  twoClusters,
} from "../bed/network/two-clusters.ts";
import { askTool } from "../judge/run-tool.ts";

const [, V4 = "", V6 = ""] = GREETER_URLS;
/** curl's own numbers. */
const [UNKNOWN_NAME, REFUSED, TIMED_OUT] = [6, 7, 28];
/** For what never comes. */
const SOON = ["--max-time", "0.3"];
const programs = ["ip", "nft", "curl", "socat"];

describeWith({ root: true, programs }, "two clusters with a router that forwards", () => {
  const clusters = greetedClusters({ forwards: true });

  it.each([V4, V6])("reach each other: %s", async (url) => {
    const { status, output, complaints } = await curl(url, { from: clusters().source });
    expect(status, complaints).toBe(0);
    expect(output).toMatch(greetingFor("source"));
  });

  it.each([
    [DROPPED, TIMED_OUT, SOON],
    [RESET, REFUSED, []],
    // The first news of it comes while the kernel still sends, and is not heard; the next comes after a second.
    [UNREACHABLE, REFUSED, []],
    [PROHIBITED, REFUSED, []],
  ])("do not while a link has a fault: %s", async (rule, status, flags) => {
    for (const link of [TO_SOURCE, TO_TARGET] as const) {
      using broken = fault({ router: clusters().router, link, rule });
      for (const url of [V4, V6]) {
        const answer = await curl(url, { from: clusters().source, flags });
        expect(answer.status, answer.complaints).toBe(status);
      }
      expect(broken.packets()).toBeGreaterThan(1);
    }
    expect((await curl(V4, { from: clusters().source })).status).toBe(0);
  });

  it("say only little to each other behind a wall that long packets do not pass", async () => {
    using wall = fault({ router: clusters().router, link: TO_TARGET, rule: longerThan(1400) });
    const from = clusters().source;
    expect((await curl(V4, { from })).status).toBe(0);
    expect(wall.packets()).toBe(0);
    const long = ["--header", `X-Long: ${"x".repeat(5000)}`, "--max-time", "2"];
    expect((await curl(V4, { from, flags: long })).status).toBe(TIMED_OUT);
    expect(wall.packets()).toBeGreaterThan(0);
  });

  it("hear half of each other when packets are lost one way", async () => {
    const way = { router: clusters().router, link: TO_TARGET, rule: DROPPED } as const;
    using deaf = fault({ ...way, packets: "from" });
    expect((await curl(V4, { from: clusters().source, flags: SOON })).status).toBe(TIMED_OUT);
    expect(deaf.packets()).toBeGreaterThan(0);
  });
});

describeWith({ root: true, programs }, "two clusters with a router that does not forward", () => {
  it("do not reach each other, nor do they know each other's names", async () => {
    using clusters = twoClusters();
    await using greets = await greeter({ namespace: clusters.target, port: GREETER_PORT });
    const asked = { from: clusters.source };
    for (const url of [V4, V6]) {
      expect((await curl(url, { ...asked, flags: SOON })).status).toBe(TIMED_OUT);
    }
    const named = `http://${TARGET_NAME}:${greets.port}/`;
    expect((await curl(named, asked)).status).toBe(UNKNOWN_NAME);
    for (const family of ["--ipv4", "--ipv6"]) {
      const answer = await curl(named, { from: clusters.router, flags: [family] });
      expect(answer.status, answer.complaints).toBe(0);
    }
    expect((await curl(`http://${ROUTER_NAME}:1/`, asked)).status).toBe(REFUSED);
  });

  it("learn names while programs run", async () => {
    using clusters = twoClusters();
    const [command = "", ...enter] = clusters.source.wrapper;
    const waits = "until getent ahosts later.example.test; do sleep 0.02; done";
    const asking = askTool({ command, args: [...enter, "sh", "-c", waits] });
    clusters.source.knows({ "later.example.test": ["192.0.2.7"] });
    expect((await asking).output).toContain("192.0.2.7");
    const { status } = await curl(`http://${ROUTER_NAME}/`, { from: clusters.source });
    expect(status).toBe(UNKNOWN_NAME);
  });
});

const MODULE = fileURLToPath(new URL("../bed/network-namespace.ts", import.meta.url));

describeWith({ root: true, programs: ["ip", "socat"] }, "a network namespace", () => {
  it("takes along what runs in it", async () => {
    const network = networkNamespace();
    const left = await greeter({ namespace: network, port: 7000 });
    expect(stillRunning([left.pid()])).toHaveLength(1);
    network[Symbol.dispose]();
    await expect.poll(() => stillRunning([left.pid()])).toEqual([]);
  });

  it("goes away with its process, and by the next one when that was killed", async () => {
    const ownedBy = (pid: number | undefined): string[] =>
      readdirSync("/run/netns").filter((name) => name.startsWith(`pvferry-${pid}-`));
    const makes = `const { networkNamespace } = await import(${JSON.stringify(MODULE)});
      const { wrapper } = networkNamespace();`;
    const leaves = `const { spawn } = await import("node:child_process");
      const child = spawn(wrapper[0], [...wrapper.slice(1), "sleep", "1000"], { stdio: "ignore" });
      child.once("spawn", () => console.log(child.pid)); setInterval(() => 0, 1000);`;
    const killed = spawn(process.execPath, ["--input-type=module", "-e", makes + leaves], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [sleeper] = (await once(killed.stdout, "data")) as [Buffer];
    expect(ownedBy(killed.pid)).toHaveLength(1);
    expect(stillRunning([Number(sleeper)])).toHaveLength(1);
    killed.kill("SIGKILL");
    await once(killed, "close");
    expect(ownedBy(killed.pid)).toHaveLength(1);
    execFileSync(process.execPath, ["--input-type=module", "-e", makes]);
    expect(ownedBy(killed.pid)).toEqual([]);
    expect(stillRunning([Number(sleeper)])).toEqual([]);
  });
});
