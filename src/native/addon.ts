/**
 * Loads the native addon and wraps it once: whatever it throws becomes a PvferryError. Nothing else is added; what the
 * functions mean stands in types.ts.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { PvferryError } from "../core/errors.ts";
import { fromNativeError, parseNativeErrorText } from "./errors.ts";
import type {
  Addon,
  Connection,
  Listener,
  LookSession,
  SourceSession,
  TargetSession,
  UnboundConnection,
} from "./types.ts";

/** Where the addon is, relative to this file as built and as source. */
const PLACES = ["./pvferry.node", "../../dist/native/pvferry.node"] as const;

let loaded: Addon | null = null;

/** Loads on first use, so that `--help` needs no addon. */
export function loadAddon(): Addon {
  loaded ??= wrapAddon(checkVersion(requireAddon(addonPaths())));
  return loaded;
}

function addonPaths(): readonly string[] {
  const chosen = process.env["PVFERRY_ADDON"];
  if (chosen !== undefined && chosen !== "") return [chosen];
  return PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
}

function requireAddon(paths: readonly string[]): Addon {
  const require = createRequire(import.meta.url);
  const failures: unknown[] = [];
  for (const path of paths) {
    try {
      // The one place where the type is taken on trust: checkVersion and the bridge tests stand behind it.
      return require(path) as Addon;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new PvferryError({
    code: 1,
    message: `The native addon could not be loaded from ${paths.join(" or ")}.`,
    next: "Build it with `npm run build`, or name it with PVFERRY_ADDON.",
    cause: new AggregateError(failures),
  });
}

function checkVersion(addon: Addon): Addon {
  const ours = packageVersion();
  const theirs = addon.version();
  if (ours === theirs) return addon;
  throw new PvferryError({
    code: 1,
    message: `The native addon is of release ${theirs}, the rest of pvferry of release ${ours}.`,
    next: "Build both together with `npm run build`.",
  });
}

/** The release of this agent, from package.json. */
export function packageVersion(): string {
  const path = fileURLToPath(new URL("../../package.json", import.meta.url));
  const content: unknown = JSON.parse(readFileSync(path, "utf8"));
  if (typeof content === "object" && content !== null && "version" in content) {
    if (typeof content.version === "string") return content.version;
  }
  throw new TypeError(`${path} names no version`);
}

/** Wrapped listeners, for handing the native object back to openTarget and openLook. */
const rawListeners = new WeakMap<Listener, Listener>();

/** Exported for tests that bring an addon of their own. */
export function wrapAddon(raw: Addon): Addon {
  return {
    version: () => guard(() => raw.version()),
    digestText: (text) => guard(() => raw.digestText(text)),
    listen: (options, onControl) =>
      wrapListener(
        guard(() => raw.listen(options, (connection) => onControl(wrapConnection(connection)))),
      ),
    connect: async (fd, options) =>
      wrapConnection(await guardAsync(() => raw.connect(fd, options))),
    connectUnbound: async (fd, options) =>
      wrapUnbound(await guardAsync(() => raw.connectUnbound(fd, options))),
    roundTripUs: (fd) => guard(() => raw.roundTripUs(fd)),
    dialInSmallSegments: (address, port, timeoutMs) =>
      guardAsync(() => raw.dialInSmallSegments(address, port, timeoutMs)),
    socketPair: () => guard(() => raw.socketPair()),
    stopFlag: () => guard(() => raw.stopFlag()),
    volumeFacts: (path) => guard(() => raw.volumeFacts(path)),
    badRule: (rules) => guard(() => raw.badRule(rules)),
    measureVolume: (path, oneFileSystem, rules, stop) =>
      guardAsync(() => raw.measureVolume(path, oneFileSystem, rules, stop)),
    digestVolume: (options, onEvents, onFiles, stop) =>
      guardAsync(() => raw.digestVolume(options, onEvents, onFiles, stop)),
    openSource: (options, onEvents) => wrapSource(guard(() => raw.openSource(options, onEvents))),
    openTarget: (options, listener, onEvents) => {
      const native = rawListeners.get(listener) ?? listener;
      return wrapTarget(guard(() => raw.openTarget(options, native, onEvents)));
    },
    openLook: (options, listener, onEvents) => {
      const native = rawListeners.get(listener) ?? listener;
      return wrapLook(guard(() => raw.openLook(options, native, onEvents)));
    },
    readJournal: (path) => guardAsync(() => raw.readJournal(path)),
    leaveFinished: (path, transfer) => guardAsync(() => raw.leaveFinished(path, transfer)),
  };
}

function wrapListener(raw: Listener): Listener {
  const wrapped: Listener = {
    port: () => guard(() => raw.port()),
    counts: () => guard(() => raw.counts()),
    admit: (fd, peerName) => guardAsync(() => raw.admit(fd, peerName)),
    close: () => guard(() => raw.close()),
  };
  rawListeners.set(wrapped, raw);
  return wrapped;
}

function wrapConnection(raw: Connection): Connection {
  return {
    peerAddress: () => guard(() => raw.peerAddress()),
    protocol: () => guard(() => raw.protocol()),
    roundTripUs: () => guard(() => raw.roundTripUs()),
    start: (onData) => guard(() => raw.start(onData)),
    send: (bytes, timeoutMs) => guardAsync(() => raw.send(bytes, timeoutMs)),
    close: () => guard(() => raw.close()),
  };
}

/** Wrapped unbound connections, for handing the native object on to a source's session. */
const rawUnbound = new WeakMap<UnboundConnection, UnboundConnection>();

function wrapUnbound(raw: UnboundConnection): UnboundConnection {
  const wrapped: UnboundConnection = {
    isUsable: () => guard(() => raw.isUsable()),
    close: () => guard(() => raw.close()),
  };
  rawUnbound.set(wrapped, raw);
  return wrapped;
}

function wrapSource(raw: SourceSession): SourceSession {
  const native = (wrapped: UnboundConnection): UnboundConnection =>
    rawUnbound.get(wrapped) ?? wrapped;
  return {
    bindIndex: (connection) => guard(() => raw.bindIndex(native(connection))),
    bindLane: (connection, lane) => guard(() => raw.bindLane(native(connection), lane)),
    attachIndex: (fd, peerName) => guard(() => raw.attachIndex(fd, peerName)),
    attachLane: (fd, lane, peerName) => guard(() => raw.attachLane(fd, lane, peerName)),
    counters: () => guard(() => raw.counters()),
    path: () => guard(() => raw.path()),
    limitUnsent: (bytes) => guard(() => raw.limitUnsent(bytes)),
    setCongestion: (algorithm) => guard(() => raw.setCongestion(algorithm)),
    close: () => guard(() => raw.close()),
  };
}

function wrapTarget(raw: TargetSession): TargetSession {
  return {
    counters: () => guard(() => raw.counters()),
    recordPass: (pass) => guardAsync(() => raw.recordPass(pass)),
    durable: () => guardAsync(() => raw.durable()),
    leave: () => guardAsync(() => raw.leave()),
    close: () => guard(() => raw.close()),
    gone: () => guardAsync(() => raw.gone()),
  };
}

function wrapLook(raw: LookSession): LookSession {
  return {
    counters: () => guard(() => raw.counters()),
    close: () => guard(() => raw.close()),
  };
}

function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw translated(error);
  }
}

async function guardAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw translated(error);
  }
}

/** Anything that is not the core's own error text (a wrong argument, say) is a defect and stays as it is. */
function translated(error: unknown): unknown {
  const text = error instanceof Error ? parseNativeErrorText(error.message) : null;
  return text === null ? error : fromNativeError(text, error);
}
