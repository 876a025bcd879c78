/** The parts of a receipt that tests look at, read from what `--json` printed: nothing is taken on trust from src. */
import type { Ended } from "./run-pvferry.ts";

export interface ReceiptItem {
  readonly side: string;
  readonly class: string;
  readonly path: string | null;
  readonly pathBytes: string | null;
  readonly what: string;
  readonly errno: string | null;
}

interface Roots {
  /** null where not every file was read. */
  readonly content: string | null;
  readonly metadata: string;
}

export interface Receipt {
  readonly exitCode: number;
  readonly message: string;
  readonly next: string;
  readonly pass: { readonly kind: string; readonly number: number; readonly session: string };
  readonly previous: string | null;
  readonly entries: { readonly [type: string]: number };
  readonly logicalBytes: number;
  readonly movedBytes: number;
  readonly matchedBytes: number;
  readonly wireBytes: number;
  readonly deleted: number;
  readonly rules: readonly string[];
  readonly excluded: { readonly source: number; readonly target: number };
  readonly knownBy: {
    readonly [how in "streamed" | "readBack" | "compared" | "assumed" | "unverified"]: number;
  };
  readonly verify: {
    readonly mode: string;
    readonly readBack: {
      readonly filesystem: string;
      readonly method: string;
      readonly files: number;
      readonly bytes: number;
      readonly repaired: number;
    } | null;
  };
  readonly sessions: number;
  readonly lanes: number;
  readonly reconnects: number;
  readonly resent: number;
  readonly roots: { readonly source: Roots; readonly target: Roots };
  readonly items: readonly ReceiptItem[];
  readonly notPreserved: {
    readonly [side: string]: readonly { readonly kind: string; readonly count: number }[];
  };
}

/** Throws with everything the command said when there is no receipt. */
export function receiptOf(ended: Ended): Receipt {
  try {
    return JSON.parse(ended.stdout) as Receipt;
  } catch {
    throw new Error(
      `no receipt; exit ${ended.code ?? ended.signal}\n${ended.stdout}\n${ended.stderr}`,
    );
  }
}
