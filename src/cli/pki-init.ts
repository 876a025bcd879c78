/** pki init: says what was made, who needs which part of it, and what became of the CA's key. */

import path from "node:path";

import { escapeText } from "../core/names.ts";
import { initPki } from "../pki/init.ts";
import type { Outcome } from "./output.ts";
import type { CommandContext } from "./run-command.ts";

/** Throws 2 when the folder cannot be used; nothing is left there then. stdout stays empty without --json. */
export async function pkiInitCommand(context: CommandContext<"pki init">): Promise<Outcome> {
  const { out: folder, days, keepCaKey } = context.flags;
  const transfer = await initPki({ folder, days, keepCaKey }, context.signal);
  const shown = escapeText(path.normalize(`${folder}/.`));
  return {
    code: 0,
    document: { transfer, folder, days, caKeyKept: keepCaKey },
    lines: [],
    words: [
      `Made the certificates of transfer ${transfer}, valid for ${days} days, in ${shown}.`,
      `Bring ${shown}/source to the source's side and ${shown}/target to the target's side: nobody else needs them.`,
      keepCaKey
        ? `${shown}/ca holds the CA's key: who has it can pass for both sides. Keep it here.`
        : "The CA's key was thrown away: nobody can make further certificates of this transfer.",
    ].join("\n"),
    brief: null,
  };
}
