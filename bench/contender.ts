/** Somebody who can copy one directory into another, and is measured at it. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

import type { Group } from "./measure.ts";
import type { Wire } from "./wire.ts";

export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly group: Group;
  readonly wire: Wire;
  /** Starts the copy. The process is the one that reads the source. */
  readonly start: () => ChildProcess;
  /** Where it says what went wrong. */
  readonly log: string;
}

/** Resolves when the copy is done, rejects when it failed. */
export async function copy(contender: Contender): Promise<void> {
  await succeeds(contender.start(), `${contender.name} (see ${contender.log})`);
}

export async function succeeds(child: ChildProcess, what: string): Promise<void> {
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${what} ended with ${code ?? signal}`);
}
