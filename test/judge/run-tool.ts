/** Runs the standard tools that the judge asks, with bytes in and out as latin1 strings. */
import { spawn } from "node:child_process";

export interface ToolAnswer {
  readonly status: number | null;
  readonly output: string;
  readonly complaints: string;
}

export interface ToolCall {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Bytes for the tool's standard input. */
  readonly input?: string;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("latin1");
}

/** Resolves with whatever the tool said; rejects only when it cannot be started. */
export async function askTool(call: ToolCall): Promise<ToolAnswer> {
  const child = spawn(call.command, call.args, {
    ...(call.cwd === undefined ? {} : { cwd: call.cwd }),
    env: { ...process.env, LC_ALL: "C" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const output = collect(child.stdout);
  const complaints = collect(child.stderr);
  // A tool that ends before it has read everything says why by its status.
  child.stdin.on("error", () => undefined);
  child.stdin.end(Buffer.from(call.input ?? "", "latin1"));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output: output(), complaints: complaints() }));
  });
}

/** As askTool, but anything but success is an error: a judge that cannot look must not say "equal". */
export async function toolOutput(call: ToolCall): Promise<string> {
  const answer = await askTool(call);
  if (answer.status === 0) return answer.output;
  throw new Error(`${call.command} failed (${answer.status}): ${answer.complaints.slice(0, 2000)}`);
}

/** One line per name, safe for a terminal. */
export function printable(path: string): string {
  const escaped = path.replaceAll(/[^\x20-\x5b\x5d-\x7e]/g, (byte) => {
    return `\\x${byte.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return escaped.length <= 200 ? escaped : `${escaped.slice(0, 90)}...${escaped.slice(-90)}`;
}
