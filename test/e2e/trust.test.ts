/** Who is let in: a dialler with anything but the right certificate is refused in words, and the listener goes on. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, it } from "vitest";

import { initPki, startSource, startTarget, type ListeningTarget } from "../agent/agent-pair.ts";
import type { Ended } from "../agent/run-pvferry.ts";
import { describeWith } from "../bed/needs.ts";
import { EXPIRED, issueLeaf } from "../bed/own-pki.ts";
import { freePort } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";
import { askTool, type ToolAnswer } from "../judge/run-tool.ts";

const place = scratch();
const pki = place.at("pki");
const volume = place.directory("source");
const written = place.directory("target");

let target: ListeningTarget;
let transfer = "";

/** The transfer's id, from the certificate that pki init made. */
async function transferOf(folder: string): Promise<string> {
  const args = ["x509", "-in", `${folder}/source/tls.crt`, "-noout", "-ext", "subjectAltName"];
  const { output } = await askTool({ command: "openssl", args });
  return /pvferry:\/\/([^/]+)\/source/.exec(output)?.[1] ?? "";
}

function leaf(name: string, uri: string | null, times: object = {}): string {
  return issueLeaf({ ca: `${pki}/ca`, out: place.at(name), uri, ...times });
}

/** What openssl says when it knocks with this ALPN; its input stays open so that the answer can come. */
async function knock(port: number, ...flags: string[]): Promise<ToolAnswer> {
  const client = [
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-alpn",
    "pvferry-control/1",
    "-CAfile",
    `${pki}/ca/tls.crt`,
  ];
  const script = `(sleep 2) | openssl "$@" 2>&1`;
  return askTool({ command: "sh", args: ["-c", script, "sh", ...client, ...flags] });
}

function as(folder: string): string[] {
  return ["-cert", `${folder}/tls.crt`, "-key", `${folder}/tls.key`];
}

async function dial(tls: string, port = target.port): Promise<Ended> {
  const flags = ["--tls", tls, "--connect-timeout", "5s"];
  await using source = startSource({ volume, pki, port, flags });
  return await source.ended;
}

function expectRefusal(ended: Ended, code: number, words: RegExp): void {
  expect(ended.stderr).toMatch(words);
  expect(ended.stderr).not.toMatch(/^\s+at .*:\d+/m);
  expect(ended.code).toBe(code);
}

/** The one control frame that a refused dialler gets: a length and a JSON document. */
function expectRefusedInWords(output: string, words: RegExp): void {
  const frame = JSON.parse(/\{.*\}/.exec(output)?.[0] ?? "null") as unknown;
  const message = expect.stringMatching(words) as string;
  expect(frame).toMatchObject({ type: "refused", code: 22, message });
}

beforeAll(async () => {
  writeFileSync(`${volume}/file`, "the data");
  await initPki(pki, "--keep-ca-key");
  transfer = await transferOf(pki);
  target = await startTarget({ volume: written, pki });
  await target.agent.says(/./);
});

afterAll(async () => {
  await target.agent[Symbol.asyncDispose]();
  place[Symbol.dispose]();
});

describeWith({ programs: ["openssl"] }, "a dialler", () => {
  it("with another CA's certificate, of which the listener speaks as well", async () => {
    const other = await initPki(place.at("other"));
    expectRefusal(await dial(`${other}/source`), 22, /trust|CA|certificate/i);
    await target.agent.says(
      /Turned away \d connections?: \d without a TLS handshake in which both/,
    );
  });

  it("of another transfer under the same CA", async () => {
    const folder = leaf("other-transfer", "pvferry://another-transfer/source");
    expectRefusal(await dial(folder), 22, /transfer another-transfer/);
  });

  it("with the role of its peer", async () => {
    expectRefusal(
      await dial(`${pki}/target`),
      2,
      /certificate of the target, and this is the source/,
    );
  });

  it("whose certificate is over", async () => {
    const folder = leaf("expired", `pvferry://${transfer}/source`, EXPIRED);
    expectRefusal(await dial(folder), 22, /expired/);
  });

  it("without a name in its certificate", async () => {
    expectRefusal(await dial(leaf("nameless", null)), 2, /does not name a transfer/);
  });

  it("that finds TLS 1.2 only", async () => {
    const port = await freePort();
    const flags = [
      "-accept",
      String(port),
      "-tls1_2",
      "-cert",
      `${pki}/target/tls.crt`,
      "-key",
      `${pki}/target/tls.key`,
    ];
    const server = askTool({
      command: "timeout",
      args: ["8", "openssl", "s_server", ...flags, "-quiet"],
    });
    expectRefusal(await dial(`${pki}/source`, port), 23, /TLS 1\.3/);
    await server;
  });
});

describeWith({ programs: ["openssl"] }, "a listener", () => {
  it("refuses a client without a certificate", async () => {
    const { output } = await knock(target.port, "-tls1_3");
    expect(output).toMatch(/certificate required/);
  });

  it("refuses TLS 1.2", async () => {
    const { output } = await knock(target.port, "-tls1_2", ...as(`${pki}/source`));
    expect(output).toMatch(/alert protocol version/);
  });

  it("refuses a certificate of another CA", async () => {
    const { output } = await knock(target.port, "-tls1_3", ...as(`${place.at("other")}/source`));
    expect(output).toMatch(/alert (?:unknown ca|bad certificate|decrypt error)/);
  });

  it("refuses a certificate that is over", async () => {
    const { output } = await knock(target.port, "-tls1_3", ...as(place.at("expired")));
    expect(output).toMatch(/alert certificate expired/);
  });

  it("refuses a wrong role in words", async () => {
    const { output } = await knock(target.port, "-tls1_3", "-quiet", ...as(`${pki}/target`));
    expectRefusedInWords(output, /role target, but source was expected/);
  });

  it("refuses a wrong transfer in words", async () => {
    const { output } = await knock(
      target.port,
      "-tls1_3",
      "-quiet",
      ...as(place.at("other-transfer")),
    );
    expectRefusedInWords(output, /transfer another-transfer/);
  });

  it("has written nothing so far, and serves the right peer at last", async () => {
    expect(readdirSync(written)).toEqual([]);
    expect(target.agent.isRunning()).toBe(true);
    const ended = await dial(`${pki}/source`);
    expect(ended.code, ended.stderr).toBe(0);
    expect((await target.agent.ended).code).toBe(0);
    expect(readFileSync(`${written}/file`, "utf8")).toBe("the data");
    expect(existsSync(`${written}/.pvferry`)).toBe(false);
  });
});

describeWith({ programs: ["openssl"] }, "a key", () => {
  it("that others can read is refused before anything is dialled", async () => {
    const folder = place.directory("exposed");
    for (const name of ["tls.crt", "tls.key", "ca.crt"]) {
      writeFileSync(`${folder}/${name}`, readFileSync(`${pki}/source/${name}`), { mode: 0o644 });
    }
    const ended = await dial(folder, await freePort());
    expectRefusal(ended, 2, /tls\.key/);
    expect(ended.milliseconds).toBeLessThan(5000);
  });

  it.each(["tls.crt", "tls.key", "ca.crt"])(
    "set of files with a broken %s is refused",
    async (broken) => {
      const folder = place.at(`broken-${broken}`);
      mkdirSync(folder);
      for (const name of ["tls.crt", "tls.key", "ca.crt"]) {
        const text =
          name === broken ? "-----BEGIN NONSENSE-----\n" : readFileSync(`${pki}/source/${name}`);
        writeFileSync(`${folder}/${name}`, text, { mode: 0o600 });
      }
      expectRefusal(
        await dial(folder, await freePort()),
        2,
        new RegExp(broken.replace(".", "\\.")),
      );
    },
  );
});
