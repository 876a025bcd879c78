/** A link that is slow one way, in the kernel, until it is disposed: what crosses it takes long enough to be interrupted. */
import { run } from "../bed-folder.ts";
import type { NetworkNamespace } from "../network-namespace.ts";
import { TO_TARGET } from "./two-clusters.ts";

export function paceToTarget({ name }: NetworkNamespace, megabitsPerSecond: number): Disposable {
  const rate = ["rate", `${megabitsPerSecond}mbit`, "burst", "64kb", "latency", "50ms"];
  run("tc", "-n", name, "qdisc", "replace", "dev", TO_TARGET, "root", "tbf", ...rate);
  return {
    [Symbol.dispose]: () => void run("tc", "-n", name, "qdisc", "delete", "dev", TO_TARGET, "root"),
  };
}
