import { exitCodeRow, type ExitCode, type ExitCodeName } from "./exit-codes.ts";
import { sentence } from "./sentences.ts";

export interface PvferryErrorInit {
  readonly code: ExitCode;
  /** One sentence: what happened, where. A full stop that is missing is added. */
  readonly message: string;
  /** One sentence: what the reader can do about it. */
  readonly next: string;
  readonly cause?: unknown;
  /** Whether it may be gone at the next attempt, nothing changed; a failure of the network is, when nobody says otherwise. */
  readonly temporary?: boolean;
}

/** The only error class. Whoever decides anything looks at `code` and `temporary`, never at the text. */
export class PvferryError extends Error {
  readonly code: ExitCode;
  readonly next: string;
  readonly temporary: boolean;

  constructor(init: PvferryErrorInit) {
    super(sentence(init.message), init.cause === undefined ? undefined : { cause: init.cause });
    this.name = "PvferryError";
    this.code = init.code;
    this.next = sentence(init.next);
    this.temporary = init.temporary ?? init.code === 20;
  }
}

/** What to do about a defect: the advice of every error with code 1. */
export const REPORT_DEFECT =
  "Please report this defect to the maintainers and attach the command line, " +
  "`pvferry --version`, and the output of the same command with -vv.";

/** What `--json` prints in place of a receipt. */
export interface ErrorDocument {
  readonly error: {
    readonly code: ExitCode;
    readonly name: ExitCodeName;
    readonly message: string;
    readonly next: string;
  };
}

export function errorDocument(error: PvferryError): ErrorDocument {
  const { code, message, next } = error;
  return { error: { code, name: exitCodeRow(code).name, message, next } };
}

/** Whatever was thrown, as the one class: anything else is a defect and says where to report it. */
export function toPvferryError(thrown: unknown): PvferryError {
  if (thrown instanceof PvferryError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new PvferryError({
    code: 1,
    message: `pvferry met a situation it was not made for: ${text}`,
    next: REPORT_DEFECT,
    cause: thrown,
  });
}

/** Whatever a library has thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}
