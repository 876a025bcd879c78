import { Writable } from "node:stream";
import { WriteStream } from "node:tty";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { barPrinter } from "../../../src/observe/bar-printer.ts";
import { linePrinter } from "../../../src/observe/printers.ts";
import { FIRST_SNAPSHOT, type Snapshot } from "../../../src/observe/snapshot.ts";
import { TransferWatch } from "../../../src/observe/transfer-watch.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const HALF: Snapshot = {
  ...FIRST_SNAPSHOT,
  phase: "copy",
  bytesDone: 5,
  bytesTotal: 10,
  percent: 50,
};

function log(): { readonly stream: Writable; readonly text: () => string } {
  let text = "";
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString();
      done();
    },
  });
  return { stream, text: () => text };
}

test("without a terminal: a line every ten seconds, and none before there is something", () => {
  const { stream, text } = log();
  const printer = linePrinter(stream);
  vi.advanceTimersByTime(30_000);
  expect(text()).toBe("");
  printer.show(HALF);
  vi.advanceTimersByTime(9_999);
  expect(text()).toBe("");
  vi.advanceTimersByTime(20_001);
  const three = "copying, 50 %, 5 B of 10 B, 0 files\n".repeat(3);
  expect(text()).toBe(three);
  printer.stop();
  vi.advanceTimersByTime(60_000);
  expect(text()).toBe(three);
});

interface Terminal {
  readonly stream: WriteStream;
  readonly text: () => string;
}

function terminal(): Terminal {
  let text = "";
  const stream = Object.assign(Object.create(WriteStream.prototype) as WriteStream, {
    isTTY: true,
    columns: 100,
    write: (chunk: string) => {
      text += chunk;
      return true;
    },
  });
  return { stream, text: () => text };
}

test("on a terminal: a bar that is redrawn, lines above it, and a cursor that comes back", () => {
  const { stream, text } = terminal();
  const printer = barPrinter(stream);
  printer.show(HALF);
  vi.advanceTimersByTime(400);
  expect(text()).toContain("\u001B[?25l");
  expect(text()).toContain("50 %  5 B of 10 B");
  printer.say("something happened");
  expect(text()).toContain("something happened\n");
  printer.show({ ...HALF, phase: "verdict", percent: 100 });
  printer.stop();
  printer.stop();
  expect(text()).toContain("] 100 %");
  expect(text()).toContain("\u001B[?25h");
  expect(text().endsWith("\n")).toBe(true);
  const before = text();
  vi.advanceTimersByTime(5_000);
  printer.say("late");
  expect(text()).toBe(`${before}late\n`);
});

test("what is waited for is said once; items only when asked for", () => {
  const said: string[] = [];
  const printer = {
    say: (line: string) => said.push(line),
    show: () => undefined,
    stop: () => undefined,
  };
  const item = {
    side: "target",
    class: "not-kept",
    path: "a\u001Bb",
    pathBytes: null,
    what: "owner",
    errno: "EPERM",
    detail: "not permitted",
  } as const;
  const quiet = new TransferWatch(printer, false);
  quiet.observe({ type: "waiting", for: "the target" });
  quiet.observe({ type: "waiting", for: "the target" });
  quiet.observe({ type: "item", item });
  quiet.observe({ type: "notice", message: "one lane was lost" });
  expect(said).toEqual(["Waiting for the target.", "one lane was lost"]);
  expect(quiet.snapshot.items["not-kept"]).toBe(1);
  new TransferWatch(printer, true).observe({ type: "item", item });
  expect(said.at(-1)).toBe("target not-kept a\\x1bb: owner: not permitted (EPERM)");
});
