/** Everything a user gets wrong: one sentence, the right exit code, within a deadline, and nothing left behind. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer as createWebServer } from "node:http";
import { createServer, type Server } from "node:net";
import process from "node:process";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki, startTarget } from "../agent/agent-pair.ts";
import { processesNaming } from "../agent/processes.ts";
import { pvferry, type Ended, type RunOptions } from "../agent/run-pvferry.ts";
import { freePort, listenAnywhere } from "../bed/ports.ts";
import { scratch } from "../bed/scratch.ts";

const place = scratch();
const source = place.directory("source");
const pki = place.at("pki");
const SECOND = 1000;

/** Root may read everything; without these two capabilities it is a user like any other. */
const WITHOUT_OVERRIDE =
  process.getuid?.() === 0 ? ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] : [];

beforeAll(async () => {
  writeFileSync(`${source}/file`, "the data");
  await initPki(pki);
});

afterAll(() => place[Symbol.dispose]());

interface Expected {
  readonly code: number;
  readonly says: RegExp;
  readonly within: number;
}

async function expectRefusal(
  args: readonly string[],
  expected: Expected,
  options?: RunOptions,
): Promise<Ended> {
  const ended = await pvferry(args, options);
  const text = ended.stderr;
  expect(text).toMatch(expected.says);
  expect(text, "a stack trace").not.toMatch(/^\s+at .*:\d+/m);
  expect(ended.code, text).toBe(expected.code);
  expect(ended.milliseconds).toBeLessThan(expected.within);
  expect(processesNaming(place.path)).toEqual([]);
  return ended;
}

function toward(port: number | string, ...flags: string[]): string[] {
  const to = typeof port === "string" ? port : `127.0.0.1:${port}`;
  return [
    "source",
    source,
    "--to",
    to,
    "--tls",
    `${pki}/source`,
    "--connect-timeout",
    "3s",
    ...flags,
  ];
}

async function withServer<T>(server: Server, use: (port: number) => Promise<T>): Promise<T> {
  const port = await listenAnywhere(server);
  try {
    return await use(port);
  } finally {
    server.close();
  }
}

describe("a wrong volume", () => {
  it("that is missing", async () => {
    const target = place.at("made-for-nothing");
    const expected = { code: 31, says: /no-such|exist|missing/i, within: 10 * SECOND };
    await expectRefusal(["copy", place.at("no-such-folder"), target], expected);
    expect(readdirSync(place.path)).not.toContain("made-for-nothing");
  });

  it("that is a file", async () => {
    const expected = { code: 31, says: /not a (?:directory|folder)/i, within: 10 * SECOND };
    await expectRefusal(["copy", `${source}/file`, place.at("other")], expected);
    expect(readdirSync(place.path)).not.toContain("other");
  });

  it("whose target is a file", async () => {
    writeFileSync(place.at("plain-file"), "");
    const expected = { code: 31, says: /not a (?:directory|folder)/i, within: 10 * SECOND };
    await expectRefusal(["copy", source, place.at("plain-file")], expected);
  });

  it("whose root cannot be read", async () => {
    const closed = place.directory("closed");
    chmodSync(closed, 0o000);
    const expected = { code: 31, says: /permission/i, within: 10 * SECOND };
    await expectRefusal(["copy", closed, place.at("unread")], expected, {
      wrapper: WITHOUT_OVERRIDE,
    });
    chmodSync(closed, 0o700);
    expect(readdirSync(place.path)).not.toContain("unread");
  });

  it("that is not empty: what is there is named and left alone", async () => {
    const full = place.directory("not-empty");
    mkdirSync(`${full}/somebody work`);
    const expected = { code: 31, says: /not empty.*somebody work/, within: 10 * SECOND };
    await expectRefusal(["copy", source, full], expected);
    expect(readdirSync(full)).toEqual(["somebody work"]);
  });

  it("inside of the other one", async () => {
    const expected = { code: 2, says: /./, within: 10 * SECOND };
    const ended = await pvferry(["copy", place.path, place.at("within")]);
    expect(ended.stderr).toMatch(expected.says);
    expect([2, 31]).toContain(ended.code);
    expect(readdirSync(place.path)).not.toContain("within");
  });
});

describe("a wrong port or host", () => {
  it("that is taken by somebody else", async () => {
    await withServer(createServer(), async (port) => {
      const target = place.directory("target-of-taken-port");
      const args = ["target", target, "--tls", `${pki}/target`, "--listen", `127.0.0.1:${port}`];
      await expectRefusal(args, { code: 33, says: new RegExp(`${port}`), within: 10 * SECOND });
      expect(readdirSync(target)).toEqual([]);
    });
  });

  it("whose name does not resolve", async () => {
    const says = /The name no-such-host\.invalid (?:does not resolve|could not be looked up)/;
    await expectRefusal(toward("no-such-host.invalid:6443"), {
      code: 20,
      says,
      within: 20 * SECOND,
    });
  });

  it("where nobody listens", async () => {
    const port = await freePort();
    await expectRefusal(toward(port), { code: 20, says: /refused|listen/i, within: 10 * SECOND });
  });

  it("where somebody listens and never answers", async () => {
    await withServer(
      createServer(() => undefined),
      async (port) => {
        await expectRefusal(toward(port), {
          code: 20,
          says: /did not complete the TLS handshake within 3 seconds/,
          within: 15 * SECOND,
        });
      },
    );
  });

  it("where a web server answers", async () => {
    const server = createWebServer((_, response) => response.end("It works!"));
    await withServer(server, async (port) => {
      await expectRefusal(toward(port), {
        code: 23,
        says: /TLS|web server|HTTP|pvferry/i,
        within: 15 * SECOND,
      });
    });
  });

  it("of a target for another volume", async () => {
    const listening = await startTarget({
      volume: place.directory("named"),
      pki,
      flags: ["--volume", "mail"],
    });
    const ended = await pvferry(toward(listening.port, "--volume", "web"));
    expect(ended.stderr).toMatch(/mail.*web|web.*mail/s);
    expect(ended.code).not.toBe(0);
    expect(readdirSync(place.at("named"))).toEqual([]);
    await listening.agent[Symbol.asyncDispose]();
  });
});

describe("a reader that goes away", () => {
  it.each(["--help", "copy --help", "--version"])(
    "before `pvferry %s` has spoken is no defect",
    async (args) => {
      // stdout is a pipe that nobody reads by the time it is written to; stderr is looked at.
      const script = '"$@" | true';
      const ended = await pvferry(args.split(" "), { wrapper: ["sh", "-c", script, "sh"] });
      expect(ended.stdout + ended.stderr).not.toMatch(/^\s+at .*:\d+|Unhandled/m);
    },
  );
});

describe("wrong usage", () => {
  const cases: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["an unknown flag", ["copy", "a", "b", "--no-such-flag"], /--no-such-flag/],
    ["an unknown command", ["teleport"], /teleport/],
    ["a missing argument", ["copy", "a"], /DST/i],
    ["a flag's wrong value", ["copy", "a", "b", "--lanes", "many"], /--lanes/],
    ["an address without a port", ["source", "a", "--to", "host", "--tls", "b"], /--to/],
    ["a missing --tls", ["target", "a"], /--tls/],
    ["a folder that holds no certificates", ["target", source, "--tls", source], /tls\.crt/],
  ];
  it.each(cases)("%s", async (_, args, says) => {
    await expectRefusal(args, { code: 2, says, within: 10 * SECOND });
  });

  it("a wrong value in the environment names the variable", async () => {
    const environment = { PVFERRY_LANES: "many" };
    const expected = { code: 2, says: /PVFERRY_LANES/, within: 10 * SECOND };
    await expectRefusal(["copy", source, place.at("never")], expected, { environment });
  });

  it("with --json is one document on stdout", async () => {
    const ended = await pvferry(["copy", place.at("missing"), place.at("never"), "--json"]);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      error: { code: 31, name: "volume", message: expect.any(String) as string },
    });
  });
});
