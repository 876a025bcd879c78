/** The target: one lobby, and for each volume its sessions, from the open door to the receipt; one, unless a connection is lost for good. */

import { toPvferryError, type PvferryError } from "../core/errors.ts";
import type { FinishedEnd } from "../core/finished-end.ts";
import type { Receipt } from "../core/receipt.ts";
import { loadAddon, packageVersion } from "../native/addon.ts";
import { servedNoMore, targetEnding } from "./door.ts";
import { Lobby } from "./lobby.ts";
import type {
  Observe,
  SessionContext,
  SessionParts,
  TargetPlace,
  TargetRun,
} from "./run-options.ts";
import { stayAlive } from "./stay-alive.ts";
import { TargetSteps } from "./target-steps.ts";

export type TargetEnd = Receipt | FinishedEnd;

/** One of several volumes of a target: what becomes of it is its own affair. */
export interface ServedVolume {
  readonly run: TargetRun;
  readonly observe: Observe;
  /** Called once: with the receipt or the outcome of a copy that was finished before, or with why there is neither. */
  readonly onEnd: (end: TargetEnd | PvferryError) => void;
}

/**
 * One volume. Resolves with the receipt, whatever its verdict, or with the outcome of a copy that was finished before;
 * rejects with a PvferryError when there is neither.
 */
export async function runTarget(
  run: TargetPlace & TargetRun & { readonly finishedWaitMs: null },
  observe: Observe,
  signal: AbortSignal,
): Promise<Receipt>;
export async function runTarget(
  run: TargetPlace & TargetRun,
  observe: Observe,
  signal: AbortSignal,
): Promise<TargetEnd>;
export async function runTarget(
  run: TargetPlace & TargetRun,
  observe: Observe,
  signal: AbortSignal,
): Promise<TargetEnd> {
  return targetSession(run, ownParts(), observe, signal);
}

/** The same with parts of the caller's choice. */
export async function targetSession(
  run: TargetPlace & TargetRun,
  parts: SessionParts,
  observe: Observe,
  signal: AbortSignal,
): Promise<TargetEnd> {
  const ends: (TargetEnd | PvferryError)[] = [];
  const volume = { run, observe, onEnd: ends.push.bind(ends) };
  await targetSessions(run, [volume], { parts, observe, signal });
  const [end] = ends;
  if (end === undefined || end instanceof Error) throw toPvferryError(end);
  return end;
}

/**
 * Several volumes, side by side. `observe` hears what concerns none of them in particular. Resolves when each has its
 * end; rejects when there is no place to serve any: 33 when the port is in use, 31 and others.
 */
export async function runTargets(
  place: TargetPlace,
  volumes: readonly ServedVolume[],
  observe: Observe,
  signal: AbortSignal,
): Promise<void> {
  return targetSessions(place, volumes, { parts: ownParts(), observe, signal });
}

async function targetSessions(
  place: TargetPlace,
  volumes: readonly ServedVolume[],
  context: SessionContext,
): Promise<void> {
  const letGo = stayAlive();
  const services = volumes.map((volume) => new Service(volume, context, volumes.length === 1));
  let lobby: Lobby | null = null;
  try {
    const usable = services.filter((service) => service.check());
    const doors = services.map(({ door }) => door);
    if (usable.length > 0) lobby = new Lobby(context, place, doors);
    await Promise.all(services.map((service) => service.serve()));
  } finally {
    lobby?.close();
    letGo();
  }
}

function ownParts(): SessionParts {
  return { addon: loadAddon(), agent: packageVersion() };
}

class Service {
  readonly #volume: ServedVolume;
  readonly #context: SessionContext;
  readonly #steps: TargetSteps;
  /** When this one has failed, so has the target. */
  readonly #isOnly: boolean;
  #unusable: PvferryError | null = null;

  constructor(volume: ServedVolume, { parts, signal }: SessionContext, isOnly: boolean) {
    this.#volume = volume;
    this.#context = { parts, observe: volume.observe, signal };
    this.#steps = new TargetSteps(volume.run, this.#context);
    this.#isOnly = isOnly;
  }

  get door(): TargetSteps["door"] {
    return this.#steps.door;
  }

  /** Before anybody listens. False when the volume cannot be served. */
  check(): boolean {
    try {
      this.#steps.checkVolume();
      return true;
    } catch (error) {
      this.#unusable = toPvferryError(error);
      return false;
    }
  }

  async serve(): Promise<void> {
    const steps = this.#steps;
    try {
      if (this.#unusable !== null) throw this.#unusable;
      await steps.findFinished();
      let end: TargetEnd | null = null;
      while (end === null) end = await oneSession(steps);
      this.#end(end);
    } catch (error) {
      await this.#fail(toPvferryError(error));
    }
  }

  async #fail(error: PvferryError): Promise<void> {
    const isEnding = this.#isOnly || this.#context.signal.aborted;
    this.door.close(isEnding ? targetEnding() : servedNoMore(this.#volume.run.volume, error));
    this.#end(await this.#steps.fail(error));
  }

  #end(end: TargetEnd | PvferryError): void {
    this.#steps.close();
    this.#volume.onEnd(end);
  }
}

/** null when it was lost, or a newer one has come, and is to be served next. */
async function oneSession(steps: TargetSteps): Promise<TargetEnd | null> {
  const source = await steps.admit();
  if (source === null) return steps.leaveFinished();
  try {
    steps.beginCopy(source);
    const written = await steps.settle();
    const settled = await steps.hearSource();
    const end = await steps.makeDurable(source, settled, written);
    await steps.keepVerdict(source, end.durable);
    await steps.conclude(end);
    return end.receipt;
  } catch (error) {
    await steps.recover(toPvferryError(error), source);
    return null;
  }
}
