/**
 * docs/container.md is done as it stands there: its commands are typed but for the release build, and its pods are played
 * by podman, with folders of this machine for what only a cluster has.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { receiptOf } from "../agent/receipt.ts";
import { buildImage, type ImageBed } from "../bed/container-image.ts";
import { describeWith } from "../bed/needs.ts";
import { networkNamespace } from "../bed/network-namespace.ts";
import { scratch } from "../bed/scratch.ts";
import { secretMount } from "../bed/secret-mount.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { writePlainTree } from "../volume/plain.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const STAGE = "npm run stage\n";
/** What the image runs as when nobody says otherwise, as in the manifests. */
const AGENT = "65532:0";

function blocks(language: "sh" | "yaml"): readonly string[] {
  const text = readFileSync(`${root}docs/container.md`, "utf8");
  const pattern = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms");
  return [...text.matchAll(pattern)].map(([, block]) => block ?? "");
}

/** Replaces what is there exactly once. */
function replaced(text: string, pattern: RegExp, by: string): string {
  const found = text.match(new RegExp(pattern.source, "gs")) ?? [];
  expect(found, String(pattern)).toHaveLength(1);
  return text.replace(pattern, by);
}

interface Places {
  readonly volume: string;
  readonly tls: string;
}

/** podman 4.3 gives the files of a Secret in base64 and keeps claims as volumes of its own. */
function withFolders(manifest: string, places: Places): string {
  const folder = (path: string): string =>
    `hostPath:\n        path: ${path}\n        type: Directory\n`;
  const claim = /persistentVolumeClaim:\n +claimName: \w+\n/;
  const secret = /secret:\n +secretName: pvferry-tls\n +defaultMode: 0440\n/;
  return replaced(replaced(manifest, claim, folder(places.volume)), secret, folder(places.tls));
}

describeWith(
  { root: true, programs: ["podman", "runc", "catatonit", "ip"] },
  "docs/container.md",
  () => {
    let image: ImageBed;

    beforeAll(async () => {
      image = await buildImage();
    });

    afterAll(async () => image[Symbol.asyncDispose]());

    it("shows commands that work", () => {
      const commands = blocks("sh");
      expect(commands[0]).toContain(STAGE);
      expect(commands.length).toBeGreaterThan(3);
      using place = scratch();
      cpSync(image.context, place.at("container"), { recursive: true });
      cpSync(`${root}docs`, place.at("docs"), { recursive: true });
      const script = `set -eux\n${commands.join("").replace(STAGE, "")}`;
      const result = spawnSync("bash", ["-c", script], {
        cwd: place.path,
        encoding: "utf8",
        env: { PATH: process.env["PATH"], ...image.containers.environment },
      });
      expect(result.status, `${result.stdout}\n${result.stderr}`).toBe(0);
      expect(result.stderr).toContain("Everything was kept");
      expect(result.stdout).toMatch(/^0$/m);
    });

    it("shows pods that move a volume", async () => {
      const [target = "", source = ""] = blocks("yaml");
      using place = scratch();
      using network = networkNamespace();
      const pki = await initPki(place.at("pki"));
      const volumes = { from: place.directory("from"), to: place.directory("to") };
      await writePlainTree(volumes.from, { largeFiles: 1, largeBytes: 1 << 20, smallFiles: 100 });
      execFileSync("chown", ["-R", AGENT, volumes.from, volumes.to]);
      using ours = secretMount(`${pki}/source`);
      using theirs = secretMount(`${pki}/target`);
      const manifests = {
        target: withFolders(target, { volume: volumes.to, tls: theirs.path }),
        source: withFolders(replaced(source, /target\.example\.org/, "127.0.0.1"), {
          volume: volumes.from,
          tls: ours.path,
        }),
      };
      const { podman, environment } = image.containers;
      for (const [side, text] of Object.entries(manifests)) {
        writeFileSync(place.at(`${side}.yaml`), text);
        // podman does not let pods into a namespace by its path.
        const play = ["podman", "kube", "play", "--network=host", place.at(`${side}.yaml`)];
        const options = { env: { ...process.env, ...environment }, stdio: "pipe" } as const;
        execFileSync("nsenter", [`--net=${network.path}`, ...play], options);
      }
      for (const side of ["source", "target"]) {
        const container = `pvferry-${side}-agent`;
        const code = Number(await podman("wait", container));
        const stdout = await podman("logs", container);
        expect(code, stdout).toBe(0);
        const receipt = { code, signal: null, stdout, stderr: "", milliseconds: 0 };
        expect(receiptOf(receipt).exitCode).toBe(0);
        const facts = await podman(
          "inspect",
          "--format={{.HostConfig.ReadonlyRootfs}} {{.BoundingCaps}}",
          container,
        );
        expect(facts.trim()).toBe("true []");
      }
      await expectFaithful(volumes.from, volumes.to);
    });
  },
);
