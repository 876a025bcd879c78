/** A network of one machine without any other, until it is disposed or this process ends. Needs root. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { bedFolder, discardBed, isAlive, run } from "./bed-folder.ts";

/** Each with its addresses. */
export interface HostNames {
  readonly [name: string]: readonly string[];
}

export interface NetworkNamespace extends Disposable {
  readonly name: string;
  /** As podman and nsenter take it. */
  readonly path: string;
  /** Put before a command: it runs in there, as the same process, and resolves only the names that are known there. */
  readonly wrapper: readonly string[];
  /** From now on these names are known there and no others, also to programs that run already. */
  readonly knows: (names: HostNames) => void;
}

const NAMESPACES = "/run/netns";
/** Names are files, so entering a network alone would leave a program with the machine's own. */
const ENTER = `mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"`;
/** Nobody answers there, so that a name which is not in the list of hosts fails at once. */
const NO_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

const inUse = new Set<() => void>();
let count = 0;

function killAllIn(name: string): void {
  for (const pid of run("ip", "netns", "pids", name).split("\n").filter(Boolean)) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** Those of processes that were killed, with what still runs in them. */
function sweepDeadNamespaces(): void {
  for (const name of readdirSync(NAMESPACES)) {
    const owner = /^pvferry-(\d+)-\d+$/.exec(name)?.[1];
    if (owner === undefined || isAlive(Number(owner))) continue;
    killAllIn(name);
    run("ip", "netns", "delete", name);
  }
}

function hostsFile(names: HostNames): string {
  const known: HostNames = { localhost: ["127.0.0.1", "::1"], ...names };
  const lines = Object.entries(known).flatMap(([name, addresses]) =>
    addresses.map((address) => `${address} ${name}\n`),
  );
  return lines.join("");
}

export function networkNamespace(): NetworkNamespace {
  count++;
  const name = `pvferry-${process.pid}-${count}`;
  const folder = bedFolder();
  run("ip", "netns", "add", name);
  if (count === 1) {
    sweepDeadNamespaces();
    process.once("exit", () => inUse.forEach((dispose) => dispose()));
  }
  run("ip", "-n", name, "link", "set", "lo", "up");
  const [hosts, resolver] = [join(folder, "hosts"), join(folder, "resolv.conf")];
  const knows = (names: HostNames): void => writeFileSync(hosts, hostsFile(names));
  knows({});
  writeFileSync(resolver, NO_RESOLVER);
  const path = join(NAMESPACES, name);
  const enterNetwork = ["nsenter", `--net=${path}`, "--"];
  const ownMounts = ["unshare", "--mount", "--propagation", "slave", "--"];
  const close = (): void => {
    inUse.delete(close);
    // What a test has left running that was ended in the middle: without its name the network could not be found again.
    killAllIn(name);
    run("ip", "netns", "delete", name);
    discardBed(folder);
  };
  inUse.add(close);
  return {
    name,
    path,
    wrapper: [...enterNetwork, ...ownMounts, "sh", "-c", ENTER, "sh", hosts, resolver],
    knows,
    [Symbol.dispose]: close,
  };
}
