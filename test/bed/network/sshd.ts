/** OpenSSH as a bastion: it forwards, and gives nobody a shell. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NetworkNamespace } from "../network-namespace.ts";
import { knowingUser } from "./accounts.ts";
import { programFolder, startProgram, type Program } from "./program.ts";
import type { Credentials } from "./proxy.ts";

export interface SshdOptions {
  readonly namespace: NetworkNamespace;
  readonly port?: number;
  /** In its own words. "local" forwards to where a client asks, "remote" from where it asks. */
  readonly forwards?: "yes" | "no" | "local" | "remote";
  /** Whether its user may come with the key, with the password, or with either. */
  readonly accepts?: "publickey" | "password" | "publickey,password";
}

export interface Sshd extends Program {
  /** May come in with the password, or with the key that is in this file. */
  readonly user: Credentials & { readonly identity: string };
  /** As a list of known hosts has it, behind the name. */
  readonly hostKey: string;
}

const BASTION_USER = { user: "bastion", password: "b4stion of %s" };

function configuration(folder: string, port: number, options: SshdOptions): string {
  const { forwards = "yes", accepts = "publickey,password" } = options;
  return `Port ${port}
HostKey ${join(folder, "host")}
PidFile none
AuthorizedKeysFile ${join(folder, "identity.pub")}
StrictModes no
UsePAM no
PubkeyAuthentication ${accepts.includes("publickey") ? "yes" : "no"}
PasswordAuthentication ${accepts.includes("password") ? "yes" : "no"}
KbdInteractiveAuthentication no
AllowUsers ${BASTION_USER.user}
AllowTcpForwarding ${forwards}
GatewayPorts clientspecified
MaxStartups 100
LogLevel DEBUG1
`;
}

export function makeKey(file: string): string {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "bed", "-f", file]);
  return readFileSync(`${file}.pub`, "utf8").trim();
}

export async function sshd(options: SshdOptions): Promise<Sshd> {
  const { namespace, port = 2222 } = options;
  const folder = programFolder();
  const file = join(folder, "sshd_config");
  const identity = join(folder, "identity");
  makeKey(identity);
  const hostKey = makeKey(join(folder, "host"));
  writeFileSync(file, configuration(folder, port, options));
  // It insists on it, and only its service makes it.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const [command, before] = [["sshd", "-D", "-e", "-f", file], knowingUser(folder, BASTION_USER)];
  const program = await startProgram({ namespace, command, before, port, folder });
  return { ...program, hostKey, user: { ...BASTION_USER, identity } };
}
