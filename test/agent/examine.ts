/** What a doctor finds out about a path, and that a transfer which takes the same path says so as well. */
import { expect } from "vitest";

import type { Diagnosis } from "../../src/session/doctor/diagnosis.ts";
import type { NetworkNamespace } from "../bed/network-namespace.ts";
import { pvferry, type Agent } from "./run-pvferry.ts";

/** What is printed for machines, and the exit code. */
export interface Examined extends Diagnosis {
  readonly exit: number | null;
}

export async function examineFrom(
  cluster: NetworkNamespace,
  pki: string,
  ...way: readonly string[]
): Promise<Examined> {
  const line = ["doctor", "--tls", `${pki}/source`, "--measure", "0s", "--json", ...way];
  const ended = await pvferry(line, { wrapper: cluster.wrapper });
  return { ...(JSON.parse(ended.stdout) as Diagnosis), exit: ended.code };
}

/** How long it took is nobody's diagnosis. */
function timeless(text: string): string {
  return text.replaceAll(/ within \d+ s|\.$/g, "");
}

/** Of a source that does not wait for long. */
export async function expectSameWords(
  source: Agent,
  { code, message }: Pick<Diagnosis, "code" | "message">,
): Promise<void> {
  const ended = await source.ended;
  expect(ended.code, ended.stderr).toBe(code);
  expect(timeless(ended.stderr)).toContain(timeless(message));
}
