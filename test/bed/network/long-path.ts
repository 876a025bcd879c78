/** Two networks with a long path between them, and cubic at both ends, as nodes have it. Needs root. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { run } from "../bed-folder.ts";
import { networkNamespace, type NetworkNamespace } from "../network-namespace.ts";

export interface LongPathFacts {
  readonly rateMbit: number;
  readonly roundTripMs: number;
  /** Of the packets of either direction. */
  readonly lossPercent: number;
}

export interface LongPath extends AsyncDisposable {
  readonly source: NetworkNamespace;
  readonly target: NetworkNamespace;
  /** Ends the path, and says what became of its packets. */
  readonly end: () => Promise<string>;
}

/** Whose sizes are of a network of two. */
export const LONG_PATH_ADDRESSES = { source: "192.0.2.1", target: "192.0.2.2" } as const;
export const LONG_PATH_DEVICE = "wan";

/** A TUN device's own queue of 500 packets loses bursts that the path would have carried. */
const QUEUE_PACKETS = "10000";
const QUEUE_KIB = 4_096;
/** What a network may choose from is said once for the whole machine. */
const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

/** Until it is disposed. A network that has chosen keeps its choice even so. */
function allow(algorithm: string): Disposable {
  const allowed = readFileSync(ALLOWED, "latin1").trim();
  const isNew = !allowed.split(" ").includes(algorithm);
  const restore = (): void => {
    process.removeListener("exit", restore);
    if (isNew) writeFileSync(ALLOWED, allowed);
  };
  if (isNew) writeFileSync(ALLOWED, `${allowed} ${algorithm}`);
  process.once("exit", restore);
  return { [Symbol.dispose]: restore };
}

function setUp({ name, path }: NetworkNamespace, address: string): void {
  run("ip", "-n", name, "address", "add", `${address}/30`, "dev", LONG_PATH_DEVICE);
  run("ip", "-n", name, "link", "set", LONG_PATH_DEVICE, "txqueuelen", QUEUE_PACKETS, "up");
  // Nothing that one connection learns of the path is to help the next one.
  const settings = ["net.ipv4.tcp_congestion_control=cubic", "net.ipv4.tcp_no_metrics_save=1"];
  execFileSync("nsenter", [`--net=${path}`, "sysctl", "-qw", ...settings]);
}

/** `profile`: whether it is Cargo's release or its development build that is there. */
export async function openLongPath(
  path: LongPathFacts,
  profile: "debug" | "release",
): Promise<LongPath> {
  const program = fileURLToPath(
    new URL(`../../../native/target/${profile}/pvferry-wan`, import.meta.url),
  );
  using made = new DisposableStack();
  const [source, target] = [made.use(networkNamespace()), made.use(networkNamespace())];
  made.use(allow("cubic"));
  const settings = [
    `delay_ms=${path.roundTripMs / 2}`,
    `loss_percent=${path.lossPercent}`,
    `rate_mbit=${path.rateMbit}`,
    `queue_kib=${QUEUE_KIB}`,
  ];
  // It ends with its standard input, and so with this process.
  const emulator = spawn(program, [source.path, target.path, ...settings], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const closed = once(emulator, "close");
  const lines = createInterface(emulator.stdout)[Symbol.asyncIterator]();
  const ready = await lines.next();
  if (ready.value !== "ready") throw new Error(`${program} did not start`);
  setUp(source, LONG_PATH_ADDRESSES.source);
  setUp(target, LONG_PATH_ADDRESSES.target);
  const kept = made.move();
  const end = async (): Promise<string> => {
    emulator.stdin.end();
    const told = await lines.next();
    await closed;
    kept.dispose();
    return told.done === true ? "" : told.value;
  };
  return {
    source,
    target,
    end,
    [Symbol.asyncDispose]: async () => {
      if (emulator.exitCode === null) await end();
    },
  };
}
