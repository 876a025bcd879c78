import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { DEFAULTS, LIMITS } from "../../../src/config/limits.ts";

const SOURCES = fileURLToPath(new URL("../../../src", import.meta.url));

const text = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => readFileSync(path.join(SOURCES, name), "utf8"))
  .join("\n");

test.for(Object.keys(LIMITS))("the limit %s is held somewhere", (name) => {
  expect(text).toMatch(new RegExp(`LIMITS\\.${name}\\b`));
});

test.for(Object.keys(DEFAULTS))("the default %s is used somewhere", (name) => {
  expect(text).toMatch(new RegExp(`DEFAULTS\\.${name}\\b`));
});
