/** Finds out what is wrong between the two sides, before or without a transfer. */

import process from "node:process";

import type { FlagValues } from "../config/flags.ts";
import { hostPortText } from "../config/value-kinds.ts";
import { PvferryError } from "../core/errors.ts";
import { redacted } from "../core/secrets.ts";
import { durationText } from "../core/units.ts";
import { loadAddon, packageVersion } from "../native/addon.ts";
import { diagnose, type Diagnosis, type DiagnosisStep } from "../session/doctor/diagnosis.ts";
import { listenForDoctors } from "../session/doctor/listen.ts";
import { agentIdentity } from "./agent-identity.ts";
import { boundAddress } from "./bound-address.ts";
import type { Outcome } from "./output.ts";
import { forwardFromFlags, pathFromFlags } from "./path.ts";
import type { CommandContext } from "./run-command.ts";

/** With --listen it is the other side of a doctor, until it is interrupted. */
export async function doctorCommand(context: CommandContext<"doctor">): Promise<Outcome> {
  const { flags, signal } = context;
  const notice = (message: string): void => {
    if (!flags.quiet) process.stderr.write(`${redacted(message)}\n`);
  };
  if (flags.listen !== null) return listen(flags, notice, signal);
  const path = await pathFromFlags(flags, "doctor", notice);
  const tls = agentIdentity(flags.tls, "source", notice);
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
  notice: (message: string) => void,
  signal: AbortSignal,
): Promise<Outcome> {
  if ((await forwardFromFlags(flags, notice)) !== null) throw onlyHere();
  const address = boundAddress(flags.listen);
  const tls = agentIdentity(flags.tls, "target", notice);
  const onListening = (port: number): void =>
    notice(`Listening on ${hostPortText({ ...address, port })}`);
  const parts = { addon: loadAddon(), agent: packageVersion(), notice, onListening };
  return listenForDoctors({ address, tls }, parts, signal);
}

function onlyHere(): PvferryError {
  return new PvferryError({
    code: 2,
    message: "A doctor listens on this machine only.",
    next: "Start a target with this --listen and examine the path to it: that uses up no session.",
  });
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
