/** Changes of volumes in the words of a shell. */
import { toolOutput } from "../judge/run-tool.ts";

/** Runs a script in a folder; throws at the first command of it that fails. */
export async function shell(folder: string, script: string): Promise<void> {
  await toolOutput({ command: "bash", args: ["-ec", script], cwd: folder });
}

/** For such a script: writes so many bytes that do not shrink, the same for the same seed. */
export function noiseCommand(seed: string, bytes: number): string {
  return `openssl enc -aes-128-ctr -pass pass:${seed} -nosalt -pbkdf2 < /dev/zero 2>/dev/null | head -c ${bytes}`;
}
