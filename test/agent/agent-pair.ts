/** A transfer's certificates and its two agents as two processes, as in two clusters. */
import { freePort } from "../bed/ports.ts";
import { pvferry, startPvferry, type Agent, type RunOptions } from "./run-pvferry.ts";

/** Makes DIR/source and DIR/target by `pvferry pki init`. */
export async function initPki(folder: string, ...flags: string[]): Promise<string> {
  const { code, stderr } = await pvferry(["pki", "init", "--out", folder, ...flags]);
  if (code !== 0) throw new Error(`pki init ended with ${code}: ${stderr}`);
  return folder;
}

export interface TargetOptions {
  readonly volume: string;
  readonly pki: string;
  readonly port?: number;
  readonly flags?: readonly string[];
  readonly run?: RunOptions;
}

export interface ListeningTarget {
  readonly agent: Agent;
  readonly port: number;
}

export async function startTarget(options: TargetOptions): Promise<ListeningTarget> {
  const port = options.port ?? (await freePort());
  const flags = ["--tls", `${options.pki}/target`, "--listen", `127.0.0.1:${port}`, "--json"];
  const args = ["target", options.volume, ...flags, ...(options.flags ?? [])];
  const agent = startPvferry(args, options.run);
  return { agent, port };
}

export interface SourceOptions {
  readonly volume: string;
  readonly pki: string;
  readonly port: number;
  readonly flags?: readonly string[];
  readonly run?: RunOptions;
}

export function startSource(options: SourceOptions): Agent {
  const flags = ["--to", `127.0.0.1:${options.port}`, "--tls", `${options.pki}/source`, "--json"];
  const waiting = ["--connect-timeout", "30s"];
  const args = ["source", options.volume, ...flags, ...waiting, ...(options.flags ?? [])];
  return startPvferry(args, options.run);
}
