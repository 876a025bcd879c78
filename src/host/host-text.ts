import process from "node:process";

import { bytesText, quantityText } from "../core/units.ts";
import { memoryLimit } from "./cgroup.ts";
import { defaultParallelism } from "./parallelism.ts";

/** What this process has to work with, in one sentence: the first thing to know of a slow transfer. */
export function hostText(): string {
  const limit = memoryLimit();
  const memory = limit === null ? "no memory limit" : `a memory limit of ${bytesText(limit)}`;
  const cpus = quantityText(defaultParallelism().cpus, "CPU");
  return `This process (${process.pid}) has ${cpus} and ${memory}; Node is ${process.version}.`;
}
