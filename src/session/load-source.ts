/** Loads what a source's session needs, in pieces: between two of them Node attends to connections that are under way. */

import { setImmediate as nextTurn } from "node:timers/promises";

import type * as Source from "./source.ts";

/** Largest first: they take some 40, 20 and 20 ms. */
export async function loadSource(): Promise<typeof Source> {
  await nextTurn();
  await import("zod");
  await nextTurn();
  await import("../wire/control-messages.ts");
  await nextTurn();
  return import("./source.ts");
}
