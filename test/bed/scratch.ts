/** A directory of its own for a test, gone when the test is over. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const OUT = fileURLToPath(new URL("../out", import.meta.url));

export interface Scratch extends Disposable {
  readonly path: string;
  /** A path in it; nothing is made. */
  at: (name: string) => string;
  /** A directory in it, made. */
  directory: (name: string) => string;
}

export function scratch(): Scratch {
  mkdirSync(OUT, { recursive: true });
  const path = mkdtempSync(join(OUT, "scratch-"));
  const at = (name: string): string => join(path, name);
  return {
    path,
    at,
    directory: (name) => {
      mkdirSync(at(name), { recursive: true });
      return at(name);
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
