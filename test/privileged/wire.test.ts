/** What somebody on the wire sees: TLS 1.3 and nothing of the data. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { initPki, startSource, startTarget } from "../agent/agent-pair.ts";
import { describeWith } from "../bed/needs.ts";
import { freePort } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";
import { toolOutput } from "../judge/run-tool.ts";

const TLS_1_3 = "0x0304";
const SECRET_CONTENT = "the quick brown fox carries the volume across ";
const SECRET_NAME = "a-name-nobody-on-the-wire-may-see";

interface Capture extends AsyncDisposable {
  readonly file: string;
}

async function captureLoopback(port: number, file: string): Promise<Capture> {
  const flags = ["-i", "lo", "-f", `tcp port ${port}`, "-w", file, "-B", "64", "-q"];
  const child = spawn("tshark", flags, { stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (words += text));
  while (!words.includes("Capturing on")) await sleep(50);
  await sleep(500);
  return {
    file,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null) return;
      child.kill("SIGINT");
      await new Promise((resolve) => child.on("close", resolve));
    },
  };
}

async function fields(file: string, filter: string, ...names: string[]): Promise<string[]> {
  const wanted = names.flatMap((name) => ["-e", name]);
  const flags = ["-r", file, "-Y", filter, "-T", "fields", ...wanted];
  const output = await toolOutput({ command: "tshark", args: flags });
  return output.split("\n").filter(Boolean);
}

describeWith({ root: true, programs: ["tshark"] }, "the wire", () => {
  it("carries TLS 1.3 only and no byte string of the data", async () => {
    using place = scratch();
    const [source, target] = [place.directory("source"), place.directory("target")];
    writeFileSync(`${source}/${SECRET_NAME}`, SECRET_CONTENT.repeat(100));
    writeFileSync(`${source}/large`, Buffer.alloc(12 * 1024 * 1024, SECRET_CONTENT));
    const pki = await initPki(place.at("pki"));
    const port = await freePort();
    const file = place.at("wire.pcapng");
    {
      await using capture = await captureLoopback(port, file);
      const listening = await startTarget({ volume: target, pki, port });
      await using agent = startSource({ volume: source, pki, port, flags: ["--compress", "none"] });
      const ended = await agent.ended;
      expect(ended.code, ended.stderr).toBe(0);
      await listening.agent.ended;
      await sleep(500);
      expect(capture.file).toBe(file);
    }
    const as = `tls.handshake.type == 2`;
    const versions = await fields(file, as, "tls.handshake.extensions.supported_version");
    // One connection for control, one for the index, and a lane at least.
    expect(versions.length).toBeGreaterThanOrEqual(3);
    expect(new Set(versions)).toEqual(new Set([TLS_1_3]));
    const names = await fields(
      file,
      "tls.handshake.type == 1",
      "tls.handshake.extensions_alpn_str",
    );
    expect(new Set(names)).toEqual(
      new Set(["pvferry-control/1", "pvferry-index/1", "pvferry-lane/1"]),
    );

    const seen = readFileSync(file);
    expect(seen.length).toBeGreaterThan(12 * 1024 * 1024);
    expect(seen.includes("pvferry-lane/1"), "the capture holds what is in the clear").toBe(true);
    expect(seen.includes(SECRET_CONTENT)).toBe(false);
    expect(seen.includes(SECRET_NAME)).toBe(false);
    expect(seen.includes('"type":"')).toBe(false);
  });
});
