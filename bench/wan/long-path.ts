/** Two networks with a long path between them, and cubic at both ends, as nodes have it. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { networkNamespace, type NetworkNamespace } from "../../test/bed/network-namespace.ts";
import { counters, enter, ip, SOURCE_ADDRESS, TARGET_ADDRESS, type Wire } from "../wire.ts";
import type { PathFacts } from "./paths.ts";

const EMULATOR = fileURLToPath(new URL("../../native/target/release/pvferry-wan", import.meta.url));
/** A TUN device's own queue of 500 packets loses bursts that the path would have carried. */
const QUEUE_PACKETS = "10000";
const QUEUE_KIB = 4_096;
const DEVICE = "wan";
/** What a network may choose from is said once for the whole machine. */
const ALLOWED = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";

export interface LongPath extends AsyncDisposable {
  readonly wire: Wire;
  /** Ends the path, and says what became of its packets. */
  readonly end: () => Promise<string>;
}

function allow(algorithm: string): Disposable {
  const before = readFileSync(ALLOWED, "latin1").trim();
  const restore = (): void => writeFileSync(ALLOWED, before);
  if (!before.split(" ").includes(algorithm)) writeFileSync(ALLOWED, `${before} ${algorithm}`);
  process.once("exit", restore);
  return {
    [Symbol.dispose]: () => {
      process.removeListener("exit", restore);
      restore();
    },
  };
}

function setUp(namespace: NetworkNamespace, address: string): void {
  ip(namespace, "address", "add", `${address}/30`, "dev", DEVICE);
  ip(namespace, "link", "set", DEVICE, "txqueuelen", QUEUE_PACKETS, "up");
  // Nothing that one connection learns of the path is to help the next one.
  const settings = ["net.ipv4.tcp_congestion_control=cubic", "net.ipv4.tcp_no_metrics_save=1"];
  const [command = "", ...args] = [...enter(namespace), "sysctl", "-qw", ...settings];
  execFileSync(command, args);
}

export async function openLongPath(path: PathFacts): Promise<LongPath> {
  const [source, target] = [networkNamespace(), networkNamespace()];
  using allowed = new DisposableStack();
  allowed.use(allow("cubic"));
  const settings = [
    `delay_ms=${path.roundTripMs / 2}`,
    `loss_percent=${path.lossPercent}`,
    `rate_mbit=${path.rateMbit}`,
    `queue_kib=${QUEUE_KIB}`,
  ];
  // It ends with its standard input, and so with this process.
  const emulator = spawn(EMULATOR, [source.path, target.path, ...settings], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const closed = once(emulator, "close");
  const lines = createInterface(emulator.stdout)[Symbol.asyncIterator]();
  const ready = await lines.next();
  if (ready.value !== "ready") throw new Error("the emulator of the path did not start");
  setUp(source, SOURCE_ADDRESS);
  setUp(target, TARGET_ADDRESS);
  const restored = allowed.move();
  const end = async (): Promise<string> => {
    emulator.stdin.end();
    const told = await lines.next();
    await closed;
    restored.dispose();
    for (const network of [source, target]) network[Symbol.dispose]();
    return told.done === true ? "" : told.value;
  };
  return {
    end,
    wire: {
      source: enter(source),
      target: enter(target),
      bytes: () => {
        const { rx, tx } = counters(source, DEVICE);
        return rx.bytes + tx.bytes;
      },
      // Lent to one contender after the other.
      [Symbol.dispose]: () => undefined,
    },
    [Symbol.asyncDispose]: async () => {
      if (emulator.exitCode === null) await end();
    },
  };
}
