/** Every command: what help says of it, and where it lives. Loaded when used, so that --help loads none of them. */

import type { CommandName } from "../config/flag-row.ts";
import type { Command } from "./run-command.ts";

/** What stands between the command and its flags. */
export interface CommandArgument {
  readonly name: string;
  readonly help: string;
  /** It may be left out. */
  readonly isOptional?: true;
}

/** One row of help. `examples` are whole command lines, as they are typed. */
export interface CommandRow<C extends CommandName> {
  readonly name: C;
  readonly summary: string;
  readonly details: string;
  readonly arguments: readonly CommandArgument[];
  readonly examples: readonly string[];
  readonly load: () => Promise<Command<C>>;
}

/** Keeps a row's own name as its type, so that `load` has to give the command of that very name. */
function command<C extends CommandName>(row: CommandRow<C>): CommandRow<C> {
  return row;
}

export const COMMAND_ROWS = [
  command({
    name: "copy",
    summary: "copy a volume on this machine",
    details:
      "Copies the contents of SRC into DST, which is made when it is missing. Both agents run on this machine and " +
      "speak TLS over 127.0.0.1, the same way as between clusters. A trailing slash means nothing.",
    arguments: [
      { name: "SRC", help: "folder whose contents are copied" },
      {
        name: "DST",
        help: "folder to copy them into: empty or missing, unless --existing or --mode says otherwise",
      },
    ],
    examples: [
      "pvferry copy /mnt/old /mnt/new",
      "pvferry copy --receipt receipt.json /mnt/old /mnt/new",
    ],
    load: async () => (await import("./copy.ts")).copyCommand,
  }),
  command({
    name: "source",
    summary: "send a volume to a target",
    details:
      "Reads the volume mounted at SRC, never writes to it, and sends it to the target at --to.",
    arguments: [{ name: "SRC", help: "folder where the volume is mounted" }],
    examples: [
      "pvferry source /data --to 10.0.0.7:6443 --tls pki/source",
      "pvferry source /data --to route:pvferry.apps.example --tls pki/source --via http://proxy.example:3128",
      "pvferry source /mail --volume mail --to 10.0.0.7:6443 --tls pki/source",
      "pvferry source /data --to [2001:db8::7]:6443 --tls pki/source --lanes 4 --items items.ndjson",
    ],
    load: async () => (await import("./source.ts")).sourceCommand,
  }),
  command({
    name: "target",
    summary: "receive a volume",
    details:
      'Listens for the source, writes what it sends into DST, and ends with the receipt. "Listening on HOST:PORT" on ' +
      "stderr says that it is ready. With --volume NAME=DIR given more than once it serves all of these side by side, each " +
      "for its own source, and ends with the last; what becomes of one does not touch the others.",
    arguments: [
      {
        name: "DST",
        help: "folder where the volume is mounted: empty, unless --existing or --read-only is given; left out when --volume names it",
        isOptional: true,
      },
    ],
    examples: [
      "pvferry target /data --tls pki/target",
      "pvferry target /data --tls pki/target --listen 127.0.0.1:0 --receipt receipt.json",
      "pvferry target --volume mail=/volumes/mail --volume web=/volumes/web --tls pki/target --receipt '{volume}.json'",
    ],
    load: async () => (await import("./target.ts")).targetCommand,
  }),
  command({
    name: "digest",
    summary: "print the root digests of a folder",
    details:
      "Prints the content and the metadata digest that a receipt would hold. With --files, stdout has a line for " +
      "b3sum --check per file instead; the root digests, and files that b3sum cannot judge (those with more than " +
      "1 GiB of holes, those whose name is not UTF-8), are then listed on stderr.",
    arguments: [{ name: "DIR", help: "folder to read" }],
    examples: [
      "pvferry digest /data",
      "pvferry digest --files /data > sums && cd /data && b3sum --check --quiet ~/sums",
    ],
    load: async () => (await import("./digest.ts")).digestCommand,
  }),
  command({
    name: "journal",
    summary: "show what an unfinished copy has recorded",
    details:
      "Prints what the journal in a target volume says: whose transfer it is, its sessions, checkpoints and passes, and " +
      "large files in flight. Changes nothing, and may be run while the target writes.",
    arguments: [{ name: "DIR", help: "folder where the target volume is mounted" }],
    examples: ["pvferry journal /data", "pvferry journal --json /data"],
    load: async () => (await import("./journal.ts")).journalCommand,
  }),
  command({
    name: "doctor",
    summary: "find out what is wrong with the path to the other side",
    details:
      "Walks the path that an agent with the same flags would take: names, each proxy, the TLS handshake, the agent at its " +
      "end; then measures round-trip time and goodput. Says in one sentence what is wrong, where, and who can change it. " +
      "The other end is a target, or a source that listens, whose session it does not touch, or pvferry doctor --listen. " +
      "--tls is the folder of the side that it stands in for.",
    arguments: [],
    examples: [
      "pvferry doctor --to route:pvferry.apps.example --tls pki/source",
      "pvferry doctor --to 10.0.0.7:6443 --tls pki/source --via http://proxy.example:3128 --json",
      "pvferry doctor --listen 6443 --tls pki/target",
      "pvferry doctor --to source.example:6443 --tls pki/target",
    ],
    load: async () => (await import("./doctor.ts")).doctorCommand,
  }),
  command({
    name: "pki init",
    summary: "make the certificates of a new transfer",
    details:
      "Makes a CA and one certificate per side. Each side's folder holds tls.crt, tls.key and ca.crt, as a " +
      "Kubernetes Secret of type kubernetes.io/tls does.",
    arguments: [],
    examples: [
      "pvferry pki init --out pki",
      "kubectl create secret generic pvferry-source --from-file pki/source",
    ],
    load: async () => (await import("./pki-init.ts")).pkiInitCommand,
  }),
  command({
    name: "pki renew",
    summary: "make new certificates for the same transfer",
    details:
      "Replaces the certificates in the folder that pki init made. With the CA's key kept (--keep-ca-key) the CA " +
      "stays; without it there is a new one, and both sides need their new folder at once.",
    arguments: [],
    examples: ["pvferry pki renew --out pki", "pvferry pki renew --out pki --days 90"],
    load: async () => (await import("./pki-renew.ts")).pkiRenewCommand,
  }),
] as const;
