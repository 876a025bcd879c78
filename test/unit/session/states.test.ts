import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { StateMachine } from "../../../src/session/state-machine.ts";
import { SOURCE_STATES, TARGET_STATES, type StateRow } from "../../../src/session/states.ts";

const design = readFileSync(new URL("../../../docs/design.md", import.meta.url), "utf8");

/** The rows of the table under a heading, as the document has them. */
function documentedStates(heading: string): Record<string, StateRow<string>> {
  const start = design.indexOf(`### ${heading}\n`);
  const table = design.slice(start).split("\n\n")[1] ?? "";
  const rows = table.split("\n").slice(2).map(cells);
  return Object.fromEntries(rows.map(([state = "", ...rest]) => [state, stateRow(rest)]));
}

function cells(line: string): string[] {
  return line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function stateRow([phase = "", stage = "", next = ""]: string[]): StateRow<string> {
  const orNull = (text: string): never => (text === "-" ? null : text) as never;
  return { phase: orNull(phase), stage: orNull(stage), next: next.split(", ").filter(Boolean) };
}

describe("the tables of states", () => {
  it.each([
    ["States of the source", SOURCE_STATES],
    ["States of the target", TARGET_STATES],
  ])("%s are as docs/design.md says", (heading, table) => {
    expect(documentedStates(heading)).toEqual(table);
    expect(Object.keys(documentedStates(heading))).toEqual(Object.keys(table));
  });

  it.each([
    ["source", SOURCE_STATES],
    ["target", TARGET_STATES],
  ])("%s: every state is reached, every state ends, every living one may fail", (_name, table) => {
    const rows = Object.entries<StateRow<string>>(table);
    const first = rows[0]?.[0] ?? "";
    const reached = new Set([first, ...rows.flatMap(([, row]) => row.next)]);
    expect([...reached].toSorted()).toEqual(Object.keys(table).toSorted());
    for (const [state, row] of rows) {
      const terminal = state === "finished" || state === "failed";
      expect(row.next.includes("failed")).toBe(!terminal);
      expect(row.next.length === 0).toBe(terminal);
    }
  });
});

describe("a state machine", () => {
  it("tells the phases, and sets the channel's stage", () => {
    const phases: string[] = [];
    const machine = new StateMachine(TARGET_STATES, "listening", (phase) => phases.push(phase));
    const channel = { stage: "verdict" as const } as Parameters<typeof machine.attach>[0];
    machine.attach(channel);
    expect(channel.stage).toBe("hello");
    machine.enter("preflight");
    machine.enter("starting");
    expect(channel.stage).toBe("start");
    expect(phases).toEqual(["connect", "preflight"]);
  });

  it("refuses what the table does not allow", () => {
    const machine = new StateMachine(SOURCE_STATES, "connecting", () => undefined);
    expect(() => machine.enter("copying")).toThrow(/cannot go from "connecting" to "copying"/);
  });
});
