import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { cpuQuota, memoryLimit } from "../../../src/host/cgroup.ts";
import { defaultParallelism } from "../../../src/host/parallelism.ts";
import { scratch, type Scratch } from "../../bed/scratch.ts";

let root: Scratch;
beforeEach(() => {
  root = scratch();
});
afterEach(() => root[Symbol.dispose]());

function put(name: string, text: string): void {
  mkdirSync(path.dirname(root.at(name)), { recursive: true });
  writeFileSync(root.at(name), text);
}

test("version 2: the smallest quota on the way up counts", () => {
  put("proc/self/cgroup", "0::/kubepods/pod1/main\n");
  put("sys/fs/cgroup/cpu.max", "max 100000\n");
  put("sys/fs/cgroup/kubepods/pod1/cpu.max", "150000 100000\n");
  put("sys/fs/cgroup/kubepods/pod1/main/cpu.max", "max 100000\n");
  put("sys/fs/cgroup/kubepods/pod1/memory.max", "268435456\n");
  put("sys/fs/cgroup/kubepods/pod1/main/memory.max", "max\n");
  expect(cpuQuota(root.path)).toBe(1.5);
  expect(memoryLimit(root.path)).toBe(268_435_456);
});

test("version 2 in a container, where the group's path is not visible", () => {
  put("proc/self/cgroup", "0::/../../pod1/main\n");
  put("sys/fs/cgroup/cpu.max", "50000 100000\n");
  expect(cpuQuota(root.path)).toBe(0.5);
});

test("version 1", () => {
  put("proc/self/cgroup", "5:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n");
  put("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "200000\n");
  put("sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "100000\n");
  put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  expect(cpuQuota(root.path)).toBe(2);
  expect(memoryLimit(root.path)).toBeNull();
});

test("no control groups, or nonsense in their files", () => {
  expect(cpuQuota(root.path)).toBeNull();
  put("proc/self/cgroup", "0::/\nnonsense\n");
  put("sys/fs/cgroup/cpu.max", "nonsense\n");
  expect(cpuQuota(root.path)).toBeNull();
});

test("this machine has an answer", () => {
  expect(cpuQuota() ?? 1).toBeGreaterThan(0);
});

test.for([
  [1, null, 1, 2],
  [4, null, 4, 4],
  [64, null, 64, 8],
  [64, 0.5, 1, 2],
  [64, 2.5, 3, 3],
  [2, 16, 2, 2],
] as const)("%d CPUs under a quota of %s: %d CPUs, %d lanes", ([affinity, quota, cpus, lanes]) => {
  expect(defaultParallelism(affinity, quota)).toMatchObject({ cpus, lanes });
});
