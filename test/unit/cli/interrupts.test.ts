import { afterEach, expect, test, vi } from "vitest";

import { watchInterrupts } from "../../../src/cli/interrupts.ts";
import type { PvferryError } from "../../../src/core/errors.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const before = new Map(SIGNALS.map((name) => [name, process.listeners(name)]));

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  for (const name of SIGNALS) {
    for (const listener of process.listeners(name)) {
      if (before.get(name)?.includes(listener) !== true) process.removeListener(name, listener);
    }
  }
});

test("the first signal asks, the deadline ends, the second ends at once", () => {
  vi.useFakeTimers();
  const late: PvferryError[] = [];
  const exit = vi.spyOn(process, "exit").mockImplementation((() => undefined) as () => never);
  const { signal, interrupt } = watchInterrupts((error) => late.push(error) as never);
  interrupt(143);
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ code: 143, message: "Terminated." });
  vi.advanceTimersByTime(1_999);
  expect(late).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(late).toEqual([signal.reason]);
  expect(exit).not.toHaveBeenCalled();
  interrupt(130);
  expect(exit).toHaveBeenCalledWith(130);
});

test("a command that has ended is not ended again", () => {
  vi.useFakeTimers();
  const late: PvferryError[] = [];
  const { interrupt, ended } = watchInterrupts((error) => late.push(error) as never);
  interrupt(130);
  ended();
  vi.advanceTimersByTime(10_000);
  expect(late).toEqual([]);
});

test("each signal has its code, and a child leaves Ctrl-C to its parent", () => {
  const codeAfter = (name: NodeJS.Signals, ctrlC?: "left to the parent"): unknown => {
    const { signal } = watchInterrupts(() => undefined, ctrlC);
    const listener: unknown = process.listeners(name).at(-1);
    if (typeof listener === "function") Reflect.apply(listener, process, [name]);
    return signal.aborted ? (signal.reason as PvferryError).code : null;
  };
  expect(codeAfter("SIGINT")).toBe(130);
  expect(codeAfter("SIGTERM")).toBe(143);
  expect(codeAfter("SIGHUP")).toBe(143);
  expect(codeAfter("SIGINT", "left to the parent")).toBeNull();
  expect(codeAfter("SIGTERM", "left to the parent")).toBe(143);
});
