/**
 * Limits that a control group puts on this process, version 2 and version 1. A limit holds for a whole subtree, so the
 * smallest one on the way up to the root counts. Inside a container the path that the kernel names may not be visible;
 * then the hierarchy's own root is where the container's limits are.
 */

import { readFileSync } from "node:fs";
import path from "node:path";

/** CPUs that the quota allows, such as 1.5; null when there is no quota. */
export function cpuQuota(root = "/"): number | null {
  return smallest(groupFolders(root, "cpu").map((folder) => cpuQuotaOf(folder)));
}

/** Bytes that the group may use; null when there is no limit. */
export function memoryLimit(root = "/"): number | null {
  return smallest(groupFolders(root, "memory").map((folder) => memoryLimitOf(folder)));
}

function smallest(limits: readonly (number | null)[]): number | null {
  const known = limits.filter((limit) => limit !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function groupFolders(root: string, controller: "cpu" | "memory"): readonly string[] {
  const mounted = path.join(root, "sys/fs/cgroup");
  const lines = readText(path.join(root, "proc/self/cgroup"))?.split("\n") ?? [];
  return lines.flatMap((line) => {
    const [, hierarchy, controllers, group] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (group === undefined) return [];
    if (hierarchy === "0") {
      return [...upwards(mounted, group), ...upwards(path.join(mounted, "unified"), group)];
    }
    if (controllers?.split(",").includes(controller) !== true) return [];
    // The folder is called cpu, or cpu,cpuacct with cpu as a link to it.
    return upwards(path.join(mounted, controller), group);
  });
}

function upwards(hierarchy: string, group: string): readonly string[] {
  const parts = group.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, length) =>
    path.join(hierarchy, ...parts.slice(0, length)),
  );
}

function cpuQuotaOf(folder: string): number | null {
  const [quota, period] = (readText(path.join(folder, "cpu.max")) ?? "").split(/\s+/);
  return (
    ratio(quota, period) ??
    ratio(
      readText(path.join(folder, "cpu.cfs_quota_us")),
      readText(path.join(folder, "cpu.cfs_period_us")),
    )
  );
}

/** "max" and -1 mean that there is no quota. */
function ratio(quota: string | null | undefined, period: string | null | undefined): number | null {
  const value = Number(quota ?? Number.NaN) / Number(period ?? Number.NaN);
  return Number.isFinite(value) && value > 0 ? value : null;
}

/** Version 1 says "no limit" with the largest multiple of a page that fits into 63 bits. */
const NO_LIMIT = 2 ** 62;

function memoryLimitOf(folder: string): number | null {
  const text =
    readText(path.join(folder, "memory.max")) ??
    readText(path.join(folder, "memory.limit_in_bytes"));
  const bytes = Number(text?.trim() ?? Number.NaN);
  return Number.isFinite(bytes) && bytes > 0 && bytes < NO_LIMIT ? bytes : null;
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
