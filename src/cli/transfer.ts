/** What copy, source and target have in common: progress, items, receipt. */

import process from "node:process";

import { PvferryError } from "../core/errors.ts";
import type { TransferEvent } from "../core/events.ts";
import type { FinishedEnd } from "../core/finished-end.ts";
import type { Receipt } from "../core/receipt.ts";
import { hostText } from "../host/host-text.ts";
import type { Item } from "../native/types.ts";
import { linePrinter, SILENT_PRINTER, type Printer } from "../observe/printers.ts";
import { receiptText } from "../observe/receipt-text.ts";
import { RecordFile } from "../observe/record-file.ts";
import { TransferWatch } from "../observe/transfer-watch.ts";
import { DifferenceList } from "./difference-list.ts";
import type { Outcome } from "./output.ts";
import { prepareReceiptFile, writeReceiptFile } from "./receipt-file.ts";

/** What the three commands' flags have in common; `verbose` from 0 to 2. */
export interface TransferFlags {
  readonly receipt: string | null;
  readonly items: string | null;
  readonly list: string | null;
  readonly json: boolean;
  /** Differences go to stdout, one line each, unless --json is given. */
  readonly prints: boolean;
  readonly quiet: boolean;
  readonly verbose: number;
}

export type Observe = (event: TransferEvent) => void;

/** `keepsItem` says which items belong into --items here; a copy's target writes its own. */
export async function runTransfer(
  flags: TransferFlags,
  transfer: (observe: Observe) => Promise<Receipt | FinishedEnd>,
  keepsItem: (item: Item) => boolean = () => true,
): Promise<Outcome> {
  using report = new TransferReport(flags, await choosePrinter(flags), keepsItem);
  if (flags.verbose > 0) report.observe({ type: "notice", message: hostText() });
  return report.conclude(await transfer(report.observe));
}

/** What becomes of one transfer's events: progress on stderr, files beside it, and at its end the outcome. */
export class TransferReport implements Disposable {
  readonly #flags: TransferFlags;
  readonly #keepsItem: (item: Item) => boolean;
  readonly #watch: TransferWatch;
  readonly #items: RecordFile | null;
  readonly #list: DifferenceList;

  /** Throws when a file cannot be written: it is found out first, so that a wrong path costs no transfer. */
  constructor(
    flags: TransferFlags,
    printer: Printer,
    keepsItem: (item: Item) => boolean = () => true,
  ) {
    this.#flags = flags;
    this.#keepsItem = keepsItem;
    if (flags.receipt !== null) prepareReceiptFile(flags.receipt);
    const onFailure = ({ message }: PvferryError): void =>
      this.observe({ type: "notice", message });
    const { items, list: file } = flags;
    this.#items = items === null ? null : new RecordFile("items", items, "anew", onFailure);
    this.#list = new DifferenceList({ file, prints: flags.prints && !flags.json, onFailure });
    this.#watch = new TransferWatch(printer, flags.verbose > 0);
    // A bar hides the cursor: it has to come back also when the process ends in the middle.
    process.once("exit", this.#restoreTerminal);
  }

  /** An arrow, to be handed on by itself. */
  readonly observe = (event: TransferEvent): void => {
    if (event.type === "session" && event.number > 1) {
      this.#items?.restart();
      this.#list.restart();
    }
    if (event.type === "differences") this.#list.add(event.differences);
    if (event.type === "item" && this.#keepsItem(event.item)) this.#items?.add(event.item);
    this.#watch.observe(event);
  };

  /** Writes the receipt, if there is one and a file for it. */
  conclude(end: Receipt | FinishedEnd): Outcome {
    this.#closeFiles();
    return concluded(end, this.#flags, this.#items?.failure ?? this.#list.failure);
  }

  [Symbol.dispose](): void {
    this.#closeFiles();
    this.#watch.stop();
    process.removeListener("exit", this.#restoreTerminal);
  }

  readonly #restoreTerminal = (): void => this.#watch.stop();

  #closeFiles(): void {
    this.#items?.close();
    this.#list.close();
  }
}

/** The bar needs a terminal; a log gets lines, and -q nothing (what went wrong is said by the outcome). */
async function choosePrinter({ quiet }: TransferFlags): Promise<Printer> {
  if (quiet) return SILENT_PRINTER;
  const { stderr } = process;
  if (!stderr.isTTY) return linePrinter(stderr);
  const { barPrinter } = await import("../observe/bar-printer.ts");
  return barPrinter(stderr);
}

/** The transfer's own verdict comes first; a file beside it that could not be written decides when all else is well. */
function concluded(
  end: Receipt | FinishedEnd,
  flags: TransferFlags,
  recordsFailure: PvferryError | null,
): Outcome {
  const receipt = "receipt" in end ? end : null;
  const failure = (receipt && keepReceipt(receipt, flags.receipt)) ?? recordsFailure;
  const trouble = failure === null ? [] : [`${failure.message} ${failure.next}`];
  const code = end.exitCode === 0 && failure !== null ? failure.code : end.exitCode;
  const words = receipt === null ? `${end.message}\n${end.next}` : receiptText(receipt);
  return {
    code,
    document: end,
    lines: [],
    words: [words, ...trouble].join("\n"),
    brief: [`pvferry: ${end.message}`, end.next, ...trouble].join("\n"),
  };
}

/** Returned, not thrown: the copy itself is done, and its verdict must not be lost over a file beside it. */
function keepReceipt(receipt: Receipt, file: string | null): PvferryError | null {
  if (file === null) return null;
  try {
    writeReceiptFile(file, receipt);
    return null;
  } catch (error) {
    if (error instanceof PvferryError) return error;
    throw error;
  }
}
