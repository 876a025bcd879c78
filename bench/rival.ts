/**
 * What pvferry is measured against: rsync through two stunnels, configured as Direct Volume Migration does it. The
 * daemons are up before the clock starts, as their pods are.
 *
 * Kept from DVM: all options of the client, rsyncd and stunnel; TLS 1.2; one stream; one RSA-4096 certificate without
 * verification; the password. Changed: ports, the target's address, "pid =" stays empty, and logs go to a file. `use chroot` is
 * "no", as for everybody but privileged pods. Either side's processes have a network of their own, as in a pod.
 */
import { execFileSync, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

import { succeeds, type Contender } from "./contender.ts";
import { untilListening } from "./listening.ts";
import { openGroup } from "./measure.ts";
import { pairWire, TARGET_ADDRESS, type Wire } from "./wire.ts";

const PORTS = { rsyncd: 22_722, server: 26_443, client: 26_444 } as const;
const MODULE = "d41d8cd98f00b204e9800998ecf8427e";
const PASSWORD = "bEnCHm";

const CLIENT_OPTIONS = [
  "--recursive",
  "--links",
  "--perms",
  "--devices",
  "--specials",
  "--times",
  "--owner",
  "--group",
  "--hard-links",
  "--delete",
  "--partial",
  "--human-readable",
  "--log-file=/dev/stdout",
  "--info=COPY2,DEL2,REMOVE2,SKIP2,FLIST2,PROGRESS2,STATS2",
  "--exclude=lost+found",
] as const;

function rsyncdConfiguration(target: string, secrets: string): string {
  return `syslog facility = local7
read only = no
list = yes
log file = /dev/stdout
max verbosity = 4
auth users = root
hosts allow = ::1, 127.0.0.1, localhost
uid = root
gid = root
use chroot = no
munge symlinks = no
[${MODULE}]
    comment = archive for ${MODULE}
    path = ${target}
    list = yes
    read only = false
    auth users = root
    secrets file = ${secrets}
`;
}

function serverTunnel(folder: string): string {
  return `foreground = yes
pid =
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
debug = 7
sslVersion = TLSv1.2
[rsync]
accept = ${PORTS.server}
connect = ${PORTS.rsyncd}
key = ${folder}/tls.key
cert = ${folder}/tls.crt
TIMEOUTclose = 0
`;
}

function clientTunnel(folder: string): string {
  return `foreground = yes
pid =
sslVersion = TLSv1.2
client = yes
syslog = no
output = /dev/stdout
[rsync]
debug = 7
accept = ${PORTS.client}
cert = ${folder}/tls.crt
key = ${folder}/tls.key
connect = ${TARGET_ADDRESS}:${PORTS.server}
`;
}

function makeCertificate(folder: string): void {
  const subject = "/C=US/ST=NC/L=RDU/O=Migration Engineering/OU=Engineering/CN=openshift.io";
  const key = ["-newkey", "rsa:4096", "-nodes", "-keyout", "tls.key", "-out", "tls.crt"];
  execFileSync("openssl", ["req", "-x509", ...key, "-days", "3650", "-subj", subject], {
    cwd: folder,
    stdio: "ignore",
  });
}

function writeConfiguration(folder: string, target: string): void {
  mkdirSync(folder, { recursive: true });
  const secrets = join(folder, "rsyncd.secrets");
  writeFileSync(secrets, `root:${PASSWORD}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "rsyncd.conf"), rsyncdConfiguration(target, secrets));
  writeFileSync(join(folder, "server.conf"), serverTunnel(folder));
  writeFileSync(join(folder, "client.conf"), clientTunnel(folder));
  makeCertificate(folder);
}

export async function rsyncThroughStunnel(
  folder: string,
  source: string,
  target: string,
  wire: Wire = pairWire(),
): Promise<Contender> {
  writeConfiguration(folder, target);
  const group = openGroup("rsync");
  const logFile = join(folder, "log");
  const log = openSync(logFile, "w");
  const start = (command: readonly string[]): ChildProcess =>
    group.start(command, { log, environment: { ...process.env, RSYNC_PASSWORD: PASSWORD } });
  const port = `--port=${PORTS.rsyncd}`;
  const rsyncd = ["--daemon", "--no-detach", port, "-vvv", `--config=${folder}/rsyncd.conf`];
  const daemons: readonly (readonly [ChildProcess, number])[] = [
    [start([...wire.target, "rsync", ...rsyncd]), PORTS.rsyncd],
    [start([...wire.target, "stunnel4", join(folder, "server.conf")]), PORTS.server],
    [start([...wire.source, "stunnel4", join(folder, "client.conf")]), PORTS.client],
  ];
  for (const [daemon, listening] of daemons) await untilListening(daemon, listening);
  const places = [`${source}/`, `rsync://root@localhost/${MODULE}/`, "--port", `${PORTS.client}`];
  return {
    name: "rsync + stunnel",
    group,
    wire,
    log: logFile,
    start: () => start([...wire.source, "rsync", ...CLIENT_OPTIONS, ...places]),
    [Symbol.asyncDispose]: async () => {
      for (const [daemon] of daemons) {
        if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
        daemon.kill("SIGTERM");
        await succeeds(daemon, "daemon").catch(() => undefined);
      }
      closeSync(log);
      group.close();
      wire[Symbol.dispose]();
    },
  };
}
