import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";

import { expect, test } from "vitest";

import type { PvferryError } from "../../../src/core/errors.ts";
import type { Item } from "../../../src/native/types.ts";
import { RecordFile } from "../../../src/observe/record-file.ts";
import { refusalOf } from "../../bed/refusal.ts";
import { scratch } from "../../bed/scratch.ts";

const unexpected = (error: PvferryError): never => {
  throw error;
};

function item(number: number): Item {
  return {
    side: "source",
    class: "unreadable",
    path: `folder/new\nline ${number}`,
    pathBytes: null,
    what: "data",
    errno: "EACCES",
    detail: "Permission denied",
  };
}

function lines(file: string): readonly unknown[] {
  const text = readFileSync(file, "utf8");
  return text
    .split("\n")
    .flatMap((line): readonly unknown[] => (line === "" ? [] : [JSON.parse(line)]));
}

test("every item is a line, also when they come faster than they are written", () => {
  using files = scratch();
  const file = new RecordFile("items", files.at("items"), "anew", unexpected);
  const items = Array.from({ length: 20_000 }, (_, number) => item(number));
  for (const each of items) file.add(each);
  file.close();
  file.close();
  expect(lines(files.at("items"))).toEqual(items);
});

test("two writers of one file mix lines, never parts of them", () => {
  using files = scratch();
  const first = new RecordFile("items", files.at("items"), "anew", unexpected);
  const second = new RecordFile("items", files.at("items"), "append", unexpected);
  for (let number = 0; number < 3_000; number += 1) {
    first.add(item(number));
    second.add(item(number));
  }
  first.close();
  second.close();
  expect(lines(files.at("items"))).toHaveLength(6_000);
});

test("a new file replaces what an older run wrote", () => {
  using files = scratch();
  for (const number of [1, 2]) {
    const file = new RecordFile("items", files.at("items"), "anew", unexpected);
    file.add(item(number));
    file.close();
  }
  expect(lines(files.at("items"))).toEqual([item(2)]);
});

test("another session's items replace those of the one before, written or not", () => {
  using files = scratch();
  const file = new RecordFile("items", files.at("items"), "anew", unexpected);
  for (let number = 0; number < 3_000; number += 1) file.add(item(number));
  file.restart();
  file.add(item(7));
  file.close();
  file.restart();
  expect(lines(files.at("items"))).toEqual([item(7)]);
});

test("who shares the file takes back nothing that is in it", () => {
  using files = scratch();
  const first = new RecordFile("items", files.at("items"), "anew", unexpected);
  const second = new RecordFile("items", files.at("items"), "append", unexpected);
  first.add(item(1));
  first.close();
  second.add(item(2));
  second.restart();
  second.add(item(3));
  second.close();
  expect(lines(files.at("items"))).toEqual([item(1), item(3)]);
});

test("a pipe cannot be emptied, and takes the next session's items all the same", () => {
  using files = scratch();
  const pipe = files.at("pipe");
  execFileSync("mkfifo", [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const file = new RecordFile("items", pipe, "anew", unexpected);
  file.restart();
  file.add(item(2));
  file.close();
  const read = Buffer.alloc(4_096);
  const text = read.toString("utf8", 0, readSync(reader, read, 0, read.length, null));
  closeSync(reader);
  expect(JSON.parse(text)).toEqual(item(2));
});

test("a full disk is told once, at once, and remembered", () => {
  const failures: PvferryError[] = [];
  const file = new RecordFile("items", "/dev/full", "append", (error) => failures.push(error));
  for (let number = 0; number < 10_000; number += 1) file.add(item(number));
  file.close();
  expect(failures).toHaveLength(1);
  expect(file.failure).toBe(failures[0]);
  expect(file.failure).toMatchObject({ code: 30 });
  expect(file.failure?.message).toContain("/dev/full");
});

test("a path that cannot be opened is refused before anything else", () => {
  using files = scratch();
  const open = (name: string) => (): RecordFile =>
    new RecordFile("items", name, "anew", unexpected);
  expect(refusalOf(open(files.at("missing/items"))).code).toBe(2);
  expect(refusalOf(open(files.path)).code).toBe(2);
});
