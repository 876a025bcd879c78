/** The process that copy starts for its target. Not for people: it speaks IPC and ends when its parent does. */

import process from "node:process";

import { LIMITS } from "../config/limits.ts";
import { toPvferryError } from "../core/errors.ts";
import { RecordFile } from "../observe/record-file.ts";
import { runTarget } from "../session/target.ts";
import type { CopyReport, CopyStart } from "./copy-messages.ts";
import { watchInterrupts } from "./interrupts.ts";

/**
 * Ends by itself after its one session. Its exit code means nothing as long as a report went out before: the parent
 * decides what the command ends with.
 */
export async function copyTarget(): Promise<void> {
  if (process.send === undefined) {
    process.stderr.write("pvferry: copy-target is started by pvferry copy, and by nobody else.\n");
    process.exitCode = 2;
    return;
  }
  const { signal, interrupt } = watchInterrupts(
    (error) => process.exit(error.code),
    "left to the parent",
  );
  // The parent is gone, by whatever: nobody would read a verdict. The source side gets its last word all the same.
  process.once("disconnect", () => interrupt(143));
  process.on("uncaughtException", (thrown: unknown) => {
    void report(failure(thrown)).then(() => process.exit(1));
  });
  await report(await outcome(await firstMessage(), signal));
  if (process.connected) process.disconnect?.();
}

/** No deadline: a parent that never sends it has to end for this process to end, see "disconnect". */
function firstMessage(): Promise<CopyStart> {
  const first = Promise.withResolvers<CopyStart>();
  process.once("message", (message: CopyStart) => first.resolve(message));
  return first.promise;
}

async function outcome(start: CopyStart, signal: AbortSignal): Promise<CopyReport> {
  const notice = (message: string): void => void report({ type: "notice", message });
  try {
    const items = openItems(start, notice);
    try {
      const receipt = await runTarget(
        {
          volume: start.volume,
          reach: { by: "listening", host: "127.0.0.1", port: 0 },
          tls: start.tls,
          transfer: start.tls.transfer,
          volumeName: start.volumeName,
          lanesMost: LIMITS.lanesMost,
          reconnectTimeoutMs: start.reconnectTimeoutMs,
          finishedWaitMs: null,
          existing: start.existing,
          compare: start.compare,
          maxDelete: start.maxDelete,
          allowEmptySource: start.allowEmptySource,
          inplace: start.inplace,
          checkpointMs: start.checkpointMs,
          discardJournal: start.discardJournal,
          readOnly: start.readOnly,
          onListening: (port) => void report({ type: "listening", port }),
        },
        // The source's items are in the parent's hands; this side writes its own, all of them.
        (event) => {
          if (event.type === "session" && event.number > 1) items?.restart();
          if (event.type === "item" && event.item.side === "target") items?.add(event.item);
        },
        signal,
      );
      return { type: "receipt", receipt };
    } finally {
      items?.close();
    }
  } catch (thrown) {
    return failure(thrown);
  }
}

function failure(thrown: unknown): CopyReport {
  const { code, message, next } = toPvferryError(thrown);
  return { type: "failed", code, message, next };
}

function openItems(start: CopyStart, notice: (message: string) => void): RecordFile | null {
  if (start.items === null) return null;
  return new RecordFile("items", start.items, "append", (error) => notice(error.message));
}

/** Resolves when the parent has it, or is gone. */
function report(message: CopyReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}
