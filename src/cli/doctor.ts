/** Finds out what is wrong between the two sides, before or without a transfer. */

import process from "node:process";

import type { FlagValues } from "../config/flags.ts";
import type { HostPort } from "../config/value-kinds.ts";
import { redacted } from "../core/secrets.ts";
import { durationText } from "../core/units.ts";
import { loadAddon, packageVersion } from "../native/addon.ts";
import { diagnose, type Diagnosis, type DiagnosisStep } from "../session/doctor/diagnosis.ts";
import { listenForDoctors } from "../session/doctor/listen.ts";
import { agentIdentity } from "./agent-identity.ts";
import { boundAddress } from "./bound-address.ts";
import type { Outcome } from "./output.ts";
import { forwardFromFlags, pathFromFlags, type Listening } from "./path.ts";
import { ReadyFile } from "./ready-file.ts";
import type { CommandContext } from "./run-command.ts";

/** With --listen it is the other side of a doctor, until it is interrupted. */
export async function doctorCommand(context: CommandContext<"doctor">): Promise<Outcome> {
  const { flags, signal } = context;
  const notice = (message: string): void => {
    if (!flags.quiet) process.stderr.write(`${redacted(message)}\n`);
  };
  using ready = new ReadyFile(flags.readyFile);
  if (flags.listen !== null) return await listen(flags, { notice, ready }, signal);
  ready.refuse();
  const path = await pathFromFlags(flags, "doctor", notice);
  const tls = agentIdentity(flags.tls, null, notice);
  const diagnosis = await diagnose(
    { path, tls, measureMs: flags.measure },
    {
      addon: loadAddon(),
      agent: packageVersion(),
      observe: (step) => notice(stepLine(step)),
      signal,
    },
  );
  return outcomeOf(diagnosis);
}

async function listen(
  flags: FlagValues<"doctor">,
  { notice, ready }: Listening,
  signal: AbortSignal,
): Promise<Outcome> {
  const forward = await forwardFromFlags(flags, { notice, ready });
  const tls = agentIdentity(flags.tls, null, notice);
  const listening = (text: string, address: HostPort | null): void => {
    if (address !== null) ready.listens(address);
    notice(`Listening on ${text}`);
  };
  const parts = { addon: loadAddon(), agent: packageVersion(), notice, listening };
  return listenForDoctors({ at: forward ?? boundAddress(flags.listen), tls }, parts, signal);
}

function stepLine({ name, verdict, milliseconds, text }: DiagnosisStep): string {
  return `${verdict.padEnd(7)} ${durationText(milliseconds).padStart(7)}  ${name}: ${text}`;
}

function outcomeOf(diagnosis: Diagnosis): Outcome {
  const { code, message, next } = diagnosis;
  const words = code === 0 ? [message, next] : [`pvferry: ${message}`, next];
  const text = words.filter((line) => line !== "").join("\n");
  return { code, document: diagnosis, lines: [], words: text, brief: text };
}
