import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";

import { expect, test } from "vitest";

import { prepareReceiptFile, writeReceiptFile } from "../../../src/cli/receipt-file.ts";
import type { Receipt } from "../../../src/core/receipt.ts";
import { refusalOf } from "../../bed/refusal.ts";
import { scratch } from "../../bed/scratch.ts";

const RECEIPT = { receipt: 1, message: "Everything was kept." } as Receipt;

test("an older receipt is gone before the transfer starts; the new one comes whole", () => {
  using files = scratch();
  const file = files.at("receipt.json");
  writeFileSync(file, "old");
  prepareReceiptFile(file);
  expect(existsSync(file)).toBe(false);
  writeReceiptFile(file, RECEIPT);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(RECEIPT);
  expect(readdirSync(files.path)).toEqual(["receipt.json"]);
});

test("a link is written through", () => {
  using files = scratch();
  symlinkSync("elsewhere", files.at("link"));
  prepareReceiptFile(files.at("link"));
  writeReceiptFile(files.at("link"), RECEIPT);
  expect(lstatSync(files.at("link")).isSymbolicLink()).toBe(true);
  expect(JSON.parse(readFileSync(files.at("elsewhere"), "utf8"))).toEqual(RECEIPT);
});

test("a wrong path costs no transfer", () => {
  using files = scratch();
  expect(refusalOf(() => prepareReceiptFile(files.at("missing/receipt"))).code).toBe(2);
  expect(refusalOf(() => prepareReceiptFile(files.path)).code).toBe(2);
});

test("a full disk is told, and nothing half is left", () => {
  const error = refusalOf(() => writeReceiptFile("/dev/full", RECEIPT));
  expect(error.code).toBe(30);
  expect(error.message).toContain("/dev/full");
});
