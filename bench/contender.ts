/** Somebody who can copy one directory into another, and is measured at it. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

import type { Group } from "./measure.ts";

export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly group: Group;
  /** Starts the copy; resolves when it is done, rejects when it failed. */
  readonly copy: () => Promise<void>;
}

export async function succeeds(child: ChildProcess, what: string): Promise<void> {
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  if (code !== 0) throw new Error(`${what} ended with ${code ?? signal}`);
}
