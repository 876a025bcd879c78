import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import type { PvferryError } from "../../../src/core/errors.ts";
import type { Item } from "../../../src/native/types.ts";
import { ItemFile } from "../../../src/observe/item-file.ts";
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
  const file = new ItemFile(files.at("items"), "anew", unexpected);
  const items = Array.from({ length: 20_000 }, (_, number) => item(number));
  for (const each of items) file.add(each);
  file.close();
  file.close();
  expect(lines(files.at("items"))).toEqual(items);
});

test("two writers of one file mix lines, never parts of them", () => {
  using files = scratch();
  const first = new ItemFile(files.at("items"), "anew", unexpected);
  const second = new ItemFile(files.at("items"), "append", unexpected);
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
    const file = new ItemFile(files.at("items"), "anew", unexpected);
    file.add(item(number));
    file.close();
  }
  expect(lines(files.at("items"))).toEqual([item(2)]);
});

test("a full disk is told once, at once, and remembered", () => {
  const failures: PvferryError[] = [];
  const file = new ItemFile("/dev/full", "append", (error) => failures.push(error));
  for (let number = 0; number < 10_000; number += 1) file.add(item(number));
  file.close();
  expect(failures).toHaveLength(1);
  expect(file.failure).toBe(failures[0]);
  expect(file.failure).toMatchObject({ code: 30 });
  expect(file.failure?.message).toContain("/dev/full");
});

test("a path that cannot be opened is refused before anything else", () => {
  using files = scratch();
  const open = (name: string) => (): ItemFile => new ItemFile(name, "anew", unexpected);
  expect(refusalOf(open(files.at("missing/items"))).code).toBe(2);
  expect(refusalOf(open(files.path)).code).toBe(2);
});
