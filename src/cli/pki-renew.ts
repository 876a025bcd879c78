/** pki renew: says whether both sides have to change their files at once. */

import { escapeText } from "../core/names.ts";
import { renewPki } from "../pki/renew.ts";
import type { Outcome } from "./output.ts";
import type { CommandContext } from "./run-command.ts";

/** Throws 2 when there is no PKI in the folder, or it cannot be written. */
export async function pkiRenewCommand(context: CommandContext<"pki renew">): Promise<Outcome> {
  const { out: folder, days, keepCaKey } = context.flags;
  const { transfer, sameCa } = await renewPki({ folder, days, keepCaKey }, context.signal);
  return {
    code: 0,
    document: { transfer, folder, days, sameCa },
    lines: [],
    words: [
      `Made new certificates for transfer ${transfer} in ${escapeText(folder)}, valid for ${days} days.`,
      sameCa
        ? "The CA is the same: a side that still has its old certificates is trusted until they end."
        : "The CA's key had not been kept, so there is a new CA: the old certificates are worth nothing now, and both sides need their new folder before they trust each other again.",
    ].join("\n"),
    brief: null,
  };
}
