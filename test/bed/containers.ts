/**
 * podman with a storage of its own, so that nobody's images and containers are touched, and without any registry. Needs
 * root. Containers run in the foreground and go away with their command.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { startCommand, type Agent, type Ended } from "../agent/run-pvferry.ts";

/**
 * The limit on open files, because root may not be allowed to raise it, which podman would try. runc and cgroupfs need
 * neither systemd nor one particular version of control groups.
 */
const settings = (folder: string): string => `[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "${join(folder, "tmp")}"
`;

export interface ContainerBed extends AsyncDisposable {
  readonly path: string;
  /** For commands that are not podman but call it. */
  readonly environment: { readonly [name: string]: string };
  readonly start: (...args: readonly string[]) => Agent;
  /** What podman printed; throws with what it complained about when it failed. */
  readonly podman: (...args: readonly string[]) => Promise<string>;
}

function settle(folder: string): ContainerBed["environment"] {
  const storage = `[storage]
driver = "overlay"
graphroot = "${join(folder, "storage")}"
runroot = "${join(folder, "run")}"
`;
  writeFileSync(join(folder, "containers.conf"), settings(folder));
  writeFileSync(join(folder, "storage.conf"), storage);
  return {
    CONTAINERS_CONF: join(folder, "containers.conf"),
    CONTAINERS_STORAGE_CONF: join(folder, "storage.conf"),
  };
}

function lastWords({ code, stderr }: Ended): string {
  return `podman ended with ${code}: ${stderr.slice(-2000)}`;
}

/** podman keeps its storage folder mounted on itself. */
function discard(folder: string): void {
  try {
    execFileSync("umount", ["-R", "-l", join(folder, "storage/overlay")], { stdio: "ignore" });
  } catch {
    // It was never mounted.
  }
  rmSync(folder, { recursive: true, force: true });
}

/** Under a short path: from about 100 characters on, podman hears of a container's end only when 20 s are over. */
export function containerBed(): ContainerBed {
  const folder = mkdtempSync(join(tmpdir(), "pvferry-podman-"));
  const environment = settle(folder);
  const start = (...args: readonly string[]): Agent =>
    startCommand(["podman", ...args], { environment });
  const podman = async (...args: readonly string[]): Promise<string> => {
    const ended = await start(...args).ended;
    if (ended.code !== 0) throw new Error(lastWords(ended));
    return ended.stdout;
  };
  return {
    path: folder,
    environment,
    start,
    podman,
    [Symbol.asyncDispose]: async () => {
      await podman("pod", "rm", "--all", "--force", "--time=0");
      await podman("rm", "--all", "--force", "--time=0");
      discard(folder);
    },
  };
}
