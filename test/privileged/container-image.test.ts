/** What is in the image, and that it is the same whoever builds it. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, it } from "vitest";

import {
  buildImage,
  IMAGE,
  RESTRICTED,
  stageContext,
  type ImageBed,
} from "../bed/container-image.ts";
import { describeWith } from "../bed/needs.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { version: string };
/** Measured 133 MB with an addon of the development profile; Node with its symbols would be 35 MB more. */
const MOST_BYTES = 150_000_000;

interface ImageFacts {
  readonly Id: string;
  readonly Size: number;
  readonly Labels: { readonly [name: string]: string };
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly StopSignal: string;
    readonly ExposedPorts: { readonly [port: string]: unknown };
  };
}

function words(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { cwd: root, encoding: "utf8" });
}

function lines(text: string): string[] {
  return text.split("\n").filter(Boolean);
}

describeWith({ root: true, programs: ["podman", "runc", "rsync"] }, "the image", () => {
  let bed: ImageBed;
  let mounted = "";

  const facts = async (image: string): Promise<ImageFacts> => {
    const [one] = JSON.parse(await bed.containers.podman("image", "inspect", image)) as [
      ImageFacts,
    ];
    return one;
  };
  const find = (...test: readonly string[]): string[] =>
    lines(words("find", mounted, "-mindepth", "1", ...test, "-printf", "%P\n")).toSorted();

  beforeAll(async () => {
    bed = await buildImage();
    mounted = (await bed.containers.podman("image", "mount", IMAGE)).trim();
  });

  afterAll(async () => {
    await bed.containers.podman("image", "unmount", "--all");
    await bed[Symbol.asyncDispose]();
  });

  it("holds the packages that npm counts among those needed at run time, and no other", () => {
    const needed = lines(
      words("npm", "ls", "--omit=dev", "--all", "--parseable", "--package-lock-only"),
    );
    const names = needed.slice(1).map((path) => path.slice(root.length));
    const found = find("-path", "*/node_modules/*", "-name", "package.json")
      .map(
        (path) =>
          /^opt\/pvferry\/(node_modules\/(?:@[^/]+\/)?[^/]+)\/package.json$/.exec(path)?.[1],
      )
      .filter((path) => path !== undefined);
    expect(found.toSorted()).toEqual(names.toSorted());
    expect(found).toContain("node_modules/zod");
  });

  it("holds one program, the libraries that it loads, and neither sources nor tools", () => {
    const programs = find("-type", "f", "-perm", "/111", "-not", "-path", `${mounted}/lib*`);
    expect(programs).toEqual(["opt/pvferry/dist/native/pvferry.node", "usr/bin/node"]);
    expect(find("-regex", String.raw`.*\.\(ts\|cts\|mts\|map\|rs\|md\|tsbuildinfo\)`)).toEqual(
      find("-iname", "license*.md"),
    );
    const folders = find("-maxdepth", "2", "-not", "-path", "*/lib/*", "-type", "d");
    expect(folders).toEqual([
      "dev",
      "etc",
      "lib",
      "lib64",
      "opt",
      "opt/pvferry",
      "proc",
      "run",
      "sys",
      "tmp",
      "usr",
      "usr/bin",
      "usr/share",
    ]);
  });

  it("can be read by any user, and gives nobody any rights by its files", () => {
    expect(find("-not", "-perm", "-444")).toEqual([]);
    expect(find("-type", "d", "-not", "-perm", "-555")).toEqual([]);
    expect(find("-perm", "/6000")).toEqual([]);
    expect(find("-not", "-user", "0", "-o", "-not", "-group", "0")).toEqual([]);
    expect(find("-perm", "/022")).toEqual(["tmp"]);
  });

  it("says what it is", async () => {
    const { Size, Labels, Config } = await facts(IMAGE);
    process.stderr.write(`the image has ${(Size / 1e6).toFixed(1)} MB\n`);
    expect(Size).toBeLessThan(MOST_BYTES);
    expect(Labels).toMatchObject({
      "org.opencontainers.image.title": "pvferry",
      "org.opencontainers.image.version": version,
      "org.opencontainers.image.licenses": "Apache-2.0",
    });
    expect(Config.User).toBe("65532:0");
    expect(Config.Entrypoint[0]).toBe("node");
    expect(Config.StopSignal).toMatch(/^(?:15|SIGTERM)$/);
    expect(Object.keys(Config.ExposedPorts)).toEqual(["6443/tcp"]);
  });

  it("answers without a user entry, a home, anything writable or any privilege", async () => {
    const run = async (...args: readonly string[]): Promise<string> =>
      bed.containers.podman("run", "--rm", "--network=none", ...RESTRICTED, IMAGE, ...args);
    expect((await run("--version")).trim()).toBe(version);
    expect(await run("--help")).toContain("Usage: pvferry");
    expect(await run()).toContain("Usage: pvferry");
    // It takes the addon.
    const digest = await run("digest", "/opt/pvferry/dist", "--json");
    expect(digest).toMatch(/"content": ?"[0-9a-f]{64}"/);
  });

  it("is the same image when somebody else stages and builds it again", async () => {
    const again = bed.files.directory("again");
    stageContext(again, "077");
    const differences = words(
      "rsync",
      "-naHc",
      "--delete",
      "-i",
      `${again}/rootfs/`,
      `${bed.context}/rootfs/`,
    );
    expect(lines(differences)).toEqual([]);
    await bed.containers.podman("build", "--no-cache", "--timestamp=0", "--tag=again", again);
    expect((await facts("again")).Id).toBe((await facts(IMAGE)).Id);
  });
});
