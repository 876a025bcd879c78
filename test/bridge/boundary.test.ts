/**
 * src/native/types.ts, with the files that it exports again, and native/addon/src are one boundary: what is declared on both sides has the same names in the
 * same order. Both are read as text, so that a review side by side can be trusted.
 */

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const typescript = ["types.ts", "connection-types.ts", "finding-types.ts"]
  .map((file) => readFileSync(path.join(root, "src/native", file), "utf8"))
  .join("\n");
const rust = rustFiles(path.join(root, "native/addon/src"))
  .map((file) => readFileSync(file, "utf8"))
  .join("\n");

function rustFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".rs"))
    .map((entry) => path.join(entry.parentPath, entry.name));
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

/** Names that match `member` in the lines between a declaration and its closing brace in the first column. */
function members(text: string, declaration: RegExp, member: RegExp): string[] {
  const found = declaration.exec(text);
  if (found === null) return [];
  const rest = text.slice(found.index + found[0].length);
  const body = rest.slice(0, rest.search(/^\}/m));
  return [...body.matchAll(member)].map((match) => camelCase(match[1] ?? ""));
}

const interfaces = [...typescript.matchAll(/^export interface (\w+) /gm)].map(
  (match) => match[1] ?? "",
);

function tsFields(name: string): string[] {
  return members(
    typescript,
    new RegExp(`^export interface ${name} \\{`, "m"),
    /^ {2}readonly (\w+):/gm,
  );
}

function tsMethods(name: string): string[] {
  return members(typescript, new RegExp(`^export interface ${name} \\{`, "m"), /^ {2}(\w+)\(/gm);
}

function rustFields(name: string): string[] {
  const declaration = new RegExp(`^(?:pub(?:\\([a-z]+\\))? )?struct ${name}(?:<[^>]*>)? \\{`, "m");
  return members(rust, declaration, /^ {4}(?:pub(?:\([a-z]+\))? )?(?:r#)?(\w+):/gm);
}

function rustMethods(name: string): string[] {
  const declaration = new RegExp(`^#\\[napi\\]\\nimpl ${name} \\{`, "m");
  return members(
    rust,
    declaration,
    /#\[napi[^\]]*\]\n(?:\s+#\[[^\]]*\]\n)*\s+pub (?:async )?fn (\w+)/g,
  );
}

/** The keys of every JSON object that Rust writes out, at its own level, one list per object. */
function jsonObjects(text: string): string[][] {
  const open: string[][] = [];
  const found: string[][] = [];
  for (const [token, key] of text.matchAll(/[{}]|"(\w+)": /g)) {
    if (token === "{") open.push([]);
    else if (token !== "}") open.at(-1)?.push(key ?? "");
    else found.push(open.pop() ?? []);
  }
  return found;
}

const written = jsonObjects(rust);

const objects = interfaces.filter(
  (name) => tsFields(name).length > 0 && name !== "NativeErrorText",
);
const classes = interfaces.filter((name) => tsMethods(name).length > 0 && name !== "Addon");

describe("the boundary", () => {
  it.each(objects)("has the transfer object %s with the same fields in the same order", (name) => {
    const fields = rustFields(name);
    if (fields.length > 0) expect(fields).toEqual(tsFields(name));
    else expect(written).toContainEqual(tsFields(name));
  });

  it.each(classes)("has the class %s with the same methods in the same order", (name) => {
    expect(rustMethods(name)).toEqual(tsMethods(name));
  });

  it("has the same functions", () => {
    const functions = [...rust.matchAll(/^#\[napi[^\]]*\]\npub (?:async )?fn (\w+)/gm)].map(
      (match) => camelCase(match[1] ?? ""),
    );
    expect(functions.toSorted()).toEqual(tsMethods("Addon").toSorted());
  });

  it("finds what it looks for", () => {
    expect(objects).toContain("ListenOptions");
    expect(classes).toContain("Listener");
  });
});
