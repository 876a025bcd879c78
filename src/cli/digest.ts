/** Root digests of any folder, and of its files when asked for. */

import process from "node:process";

import type { ExitCode } from "../core/exit-codes.ts";
import { defaultParallelism } from "../host/parallelism.ts";
import { loadAddon } from "../native/addon.ts";
import { stoppable } from "../native/stoppable.ts";
import type { FileDigest, Item, ItemClass, Roots, SessionEvent } from "../native/types.ts";
import { itemText } from "../observe/item-text.ts";
import { checkLine, uncheckableText } from "./digest-lines.ts";
import type { Outcome } from "./output.ts";
import { readRules } from "./rules.ts";
import type { CommandContext } from "./run-command.ts";
import { volumeArgument } from "./volume-argument.ts";

type Counts = { [itemClass in ItemClass]: number };

/**
 * Exit code 0 only when the digests cover everything. Items go to stderr one by one as they come, since nothing else would
 * keep them; `-q` leaves their count.
 */
export async function digestCommand(context: CommandContext<"digest">): Promise<Outcome> {
  const { flags, args, signal } = context;
  const counts = noItems();
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const onEvents = (events: readonly SessionEvent[]): void => {
    for (const item of itemsOf(events)) {
      counts[item.class] += 1;
      if (!flags.quiet) say(itemText(item));
    }
  };
  const options = {
    volume: volumeArgument(args[0], "DIR"),
    threads: defaultParallelism().threads,
    oneFileSystem: flags.oneFileSystem,
    selinux: flags.selinux,
    rules: readRules(flags),
  };
  const printer = flags.json ? jsonFiles() : checkFiles(say);
  const onFiles = flags.files ? printer.files : null;
  // `| head` has seen enough: that is no failure, and no reason to read the rest of the volume.
  process.stdout.once("error", () => process.exit(0));
  const addon = loadAddon();
  const roots = await stoppable(addon, signal, (stop) =>
    addon.digestVolume(options, onEvents, onFiles, stop),
  );
  return outcome(roots, counts, printer.documentEnd, flags);
}

/** A digest has no lanes and does not settle: of a session's events only the items can come. */
function itemsOf(events: readonly SessionEvent[]): readonly Item[] {
  return events.flatMap((event) => (event.type === "items" ? event.items : []));
}

interface FilePrinter {
  readonly files: (files: readonly FileDigest[]) => void;
  /** Writes the document, or the rest of it when files were written. */
  readonly documentEnd: (result: object) => void;
}

/** Batches are written as they come, in whatever order the threads read the files: b3sum does not care. */
function checkFiles(say: (line: string) => void): FilePrinter {
  return {
    files: (files) => {
      let lines = "";
      for (const file of files) {
        const line = checkLine(file);
        if (line === null) say(uncheckableText(file));
        else lines += `${line}\n`;
      }
      process.stdout.write(lines);
    },
    documentEnd: () => undefined,
  };
}

/** One document all the same, written as the files come: a volume may have millions. */
function jsonFiles(): FilePrinter {
  let opened = false;
  return {
    files: (files) => {
      const text = files.map((file) => JSON.stringify(file)).join(",\n");
      if (text === "") return;
      process.stdout.write(opened ? `,\n${text}` : `{"files":[\n${text}`);
      opened = true;
    },
    documentEnd: (result) => {
      const text = JSON.stringify(result);
      process.stdout.write(opened ? `\n],${text.slice(1)}\n` : `${text}\n`);
    },
  };
}

function noItems(): Counts {
  return {
    unreadable: 0,
    "not-written": 0,
    "not-kept": 0,
    changed: 0,
    skipped: 0,
    repaired: 0,
    corrupted: 0,
  };
}

function outcome(
  roots: Roots,
  itemCounts: Counts,
  documentEnd: (result: object) => void,
  flags: CommandContext<"digest">["flags"],
): Outcome {
  const code = codeOf(itemCounts);
  documentEnd({ exitCode: code, roots, itemCounts });
  const lines = [`content   ${roots.content}`, `metadata  ${roots.metadata}`];
  const unsure = code === 0 ? null : "The digests do not cover everything: see above.";
  // With --files stdout is for b3sum alone.
  const words = [...(flags.files ? lines : []), ...(unsure === null ? [] : [unsure])].join("\n");
  return {
    code,
    document: null,
    lines: flags.files ? [] : lines,
    words: words === "" ? null : words,
    brief: unsure,
  };
}

/** The same precedence as a transfer's verdict. */
function codeOf(counts: Counts): ExitCode {
  if (counts.unreadable > 0) return 40;
  if (counts.changed > 0) return 42;
  return counts["not-kept"] > 0 ? 41 : 0;
}
