/** The image as `npm run stage` and podman make it, from what is in dist/: with the addon of the development profile. */
import { execFileSync } from "node:child_process";
import { copyFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { containerBed, type ContainerBed } from "./containers.ts";
import { scratch, type Scratch } from "./scratch.ts";

const FOLDER = fileURLToPath(new URL("../../container", import.meta.url));
export const IMAGE = "pvferry";

/** What a pod under OpenShift's restricted SCC gets. podman would add a passwd entry and writable folders by itself. */
export const RESTRICTED: readonly string[] = [
  "--user=12345:0",
  "--passwd=false",
  "--env=HOME=/nonexistent",
  "--read-only",
  "--read-only-tmpfs=false",
  "--cap-drop=all",
  "--security-opt=no-new-privileges",
];

export interface ImageBed extends AsyncDisposable {
  readonly containers: ContainerBed;
  readonly files: Scratch;
  /** What container/ is in a workspace in which `npm run stage` ran. */
  readonly context: string;
}

/** Lays out a build context. The umask is a builder's own affair. */
export function stageContext(context: string, umask = "022"): void {
  const commands = 'umask "$1" && exec "$2" "$3" "$4"';
  const words = [umask, process.execPath, `${FOLDER}/stage.ts`, `${context}/rootfs`];
  execFileSync("sh", ["-c", commands, "sh", ...words], { stdio: ["ignore", "ignore", "inherit"] });
  copyFileSync(`${FOLDER}/Containerfile`, `${context}/Containerfile`);
}

export async function buildImage(): Promise<ImageBed> {
  const files = scratch();
  const containers = containerBed();
  const context = files.directory("container");
  const dispose = async (): Promise<void> => {
    await containers[Symbol.asyncDispose]();
    files[Symbol.dispose]();
  };
  try {
    stageContext(context);
    await containers.podman("build", "--timestamp=0", `--tag=${IMAGE}`, context);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { containers, files, context, [Symbol.asyncDispose]: dispose };
}
