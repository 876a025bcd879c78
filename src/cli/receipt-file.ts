/** The receipt as a file. */

import { receiptJson, type Receipt } from "../core/receipt.ts";
import { WholeFile } from "./whole-file.ts";

const ACTION = "write the receipt to";

export function prepareReceiptFile(file: string): void {
  new WholeFile(file, ACTION).prepare();
}

export function writeReceiptFile(file: string, receipt: Receipt): void {
  new WholeFile(file, ACTION).write(receiptJson(receipt));
}
