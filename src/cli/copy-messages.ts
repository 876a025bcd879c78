/** What copy and the target process that it started tell each other over Node's IPC channel. Both are one program. */

import type { ExitCode } from "../core/exit-codes.ts";
import type { Receipt } from "../core/receipt.ts";
import type { Existing, MaxDelete } from "../native/types.ts";
import type { AgentIdentity } from "../pki/identity.ts";
import type { TargetRun } from "../session/run-options.ts";

/** To the target, once. Its key goes this way so that it never is in argv, environment or a file. */
export interface CopyStart {
  readonly type: "start";
  readonly volume: string;
  readonly volumeName: string;
  readonly existing: Existing;
  readonly compare: TargetRun["compare"];
  readonly maxDelete: MaxDelete;
  readonly allowEmptySource: boolean;
  readonly inplace: boolean;
  readonly tls: Pick<AgentIdentity, "ca" | "certificate" | "key" | "transfer" | "role">;
  readonly checkpointMs: number;
  readonly discardJournal: boolean;
  readonly readOnly: boolean;
  /** The target appends its items to the same file. */
  readonly items: string | null;
  readonly reconnectTimeoutMs: number;
}

export type CopyReport =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "notice"; readonly message: string }
  | { readonly type: "receipt"; readonly receipt: Receipt }
  | {
      readonly type: "failed";
      readonly code: ExitCode;
      readonly message: string;
      readonly next: string;
    };
