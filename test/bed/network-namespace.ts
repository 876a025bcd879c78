/** A network of one machine without any other, for as long as it is not disposed. Needs root. */
import { execFileSync } from "node:child_process";
import process from "node:process";

export interface NetworkNamespace extends Disposable {
  /** As podman and nsenter take it. */
  readonly path: string;
}

let count = 0;

function ip(...args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}

export function networkNamespace(): NetworkNamespace {
  count++;
  const name = `pvferry-${process.pid}-${count}`;
  ip("netns", "add", name);
  ip("-n", name, "link", "set", "lo", "up");
  return {
    path: `/run/netns/${name}`,
    [Symbol.dispose]: () => ip("netns", "delete", name),
  };
}
