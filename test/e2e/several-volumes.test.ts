/** One target serves the volumes of several sources side by side: each has its own journal, receipt and fate. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { initPki } from "../agent/agent-pair.ts";
import { startPvferry, pvferry, type Agent, type Ended } from "../agent/run-pvferry.ts";
import { freePort } from "../bed/ports.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const shared = scratch();
const pki = shared.at("pki");
const NAMES = ["mail", "web", "shop/db"] as const;
type Name = (typeof NAMES)[number];

/** Different bytes in each: one that landed in the wrong place would be seen. */
beforeAll(async () => {
  await initPki(pki);
  for (const name of NAMES) {
    const volume = sourceOf(name);
    mkdirSync(`${volume}/folder`, { recursive: true });
    for (let file = 0; file < 100; file += 1) {
      writeFileSync(`${volume}/folder/${file}`, `${name} ${file}`);
    }
    writeFileSync(`${volume}/large`, randomBytes(name).bytes(24 * 1_048_576));
  }
});

afterAll(() => shared[Symbol.dispose]());

function sourceOf(name: Name): string {
  return shared.at(`volumes/${name}`);
}

interface Several extends AsyncDisposable {
  readonly agent: Agent;
  readonly port: number;
  readonly source: (name: string, ...flags: readonly string[]) => Agent;
}

/** `place` has a folder for each copy, and for each volume's files. */
async function target(
  place: Scratch,
  options: { readonly port?: number; readonly flags?: readonly string[] } = {},
): Promise<Several> {
  const port = options.port ?? (await freePort());
  const volumes = NAMES.flatMap((name) => ["--volume", `${name}=${copyIn(place, name)}`]);
  const where = ["--tls", `${pki}/target`, "--listen", `127.0.0.1:${port}`, "--json"];
  const receipt = ["--receipt", place.at("receipts/{volume}.json")];
  const flags = options.flags ?? [];
  const agent = startPvferry(["target", ...volumes, ...where, ...receipt, ...flags]);
  const source = (name: string, ...more: readonly string[]): Agent => {
    const to = ["--volume", name, "--to", `127.0.0.1:${port}`, "--connect-timeout", "30s"];
    const args = ["source", sourceOf(name as Name), "--tls", `${pki}/source`, "--json"];
    return startPvferry([...args, ...to, ...more]);
  };
  return { agent, port, source, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
}

function newPlace(): Scratch {
  const place = scratch();
  for (const name of NAMES) mkdirSync(copyIn(place, name), { recursive: true });
  mkdirSync(place.at("receipts/shop"), { recursive: true });
  return place;
}

function copyIn(place: Scratch, name: Name): string {
  return place.at(`copies/${name}`);
}

async function expectCopied(place: Scratch, ...names: readonly Name[]): Promise<void> {
  for (const name of names) {
    expect(existsSync(`${copyIn(place, name)}/.pvferry`)).toBe(false);
    await expectFaithful(sourceOf(name), copyIn(place, name));
  }
}

function receiptIn(place: Scratch, name: Name): unknown {
  return JSON.parse(readFileSync(place.at(`receipts/${name}.json`), "utf8"));
}

async function expectCode(agent: Agent, code: number): Promise<Ended> {
  const ended = await agent.ended;
  expect(ended.code, ended.stderr).toBe(code);
  return ended;
}

/** Slow enough to be met in the middle, fast enough not to be waited for. */
const SLOW = ["--bwlimit", "6M"];

describe("a target of several volumes", () => {
  it("gives each source its volume, at the same time, and each volume its receipt", async () => {
    using place = newPlace();
    await using several = await target(place);
    await using mail = several.source("mail", ...SLOW);
    await several.agent.says(/^\[mail\] Waiting for the source/m);
    await using web = several.source("web", ...SLOW);
    await using shop = several.source("shop/db", ...SLOW);
    const agents = { mail, web, "shop/db": shop };
    const ends = await Promise.all(NAMES.map((name) => expectCode(agents[name], 0)));
    const own = ends.map(
      ({ stdout }) => JSON.parse(stdout) as { startedAt: string; endedAt: string },
    );
    // All of them were under way at once.
    const lastStart = Math.max(...own.map(({ startedAt }) => Date.parse(startedAt)));
    expect(Math.min(...own.map(({ endedAt }) => Date.parse(endedAt)))).toBeGreaterThan(lastStart);
    const ended = await expectCode(several.agent, 0);
    expect(NAMES.map((name) => receiptIn(place, name))).toEqual(own);
    const volumes = NAMES.map((volume, index) => ({ volume, ...own[index] }));
    expect(JSON.parse(ended.stdout)).toEqual({ exitCode: 0, volumes });
    expect(ended.stderr).toMatch(/^\[shop\/db\] Everything was kept/m);
    expect(ended.stderr).toMatch(/^pvferry: all 3 volumes ended well\.$/m);
    await expectCopied(place, ...NAMES);
  });

  it("says at once what is wrong with one volume, tells its source, and serves the others", async () => {
    using place = newPlace();
    writeFileSync(`${copyIn(place, "web")}/there`, "already");
    await using several = await target(place);
    await several.agent.says(/^\[web\] pvferry: The target volume .* is not empty/m);
    await using web = several.source("web");
    expect((await expectCode(web, 31)).stderr).toMatch(/has given up the volume .*not empty/);
    await using mail = several.source("mail");
    await using shop = several.source("shop/db");
    for (const agent of [mail, shop]) await expectCode(agent, 0);
    const ended = await expectCode(several.agent, 31);
    expect(ended.stderr).toMatch(
      /^pvferry: of 3 volumes 1 did not end well: web with 31 \(volume\)\.$/m,
    );
    expect(JSON.parse(ended.stdout)).toMatchObject({
      exitCode: 31,
      volumes: [
        { volume: "mail", exitCode: 0 },
        { volume: "web", error: { code: 31 } },
        { volume: "shop/db", exitCode: 0 },
      ],
    });
    expect(existsSync(place.at("receipts/web.json"))).toBe(false);
    await expectCopied(place, "mail", "shop/db");
  });

  it("names its volumes to a source that asks for none of them", async () => {
    using place = newPlace();
    await using several = await target(place);
    await using other = several.source("mail", "--volume", "web");
    await expectCode(other, 2);
    const args = ["source", sourceOf("mail"), "--volume", "post", "--tls", `${pki}/source`];
    const ended = await pvferry([...args, "--to", `127.0.0.1:${several.port}`]);
    expect(ended.stderr).toMatch(/volumes "mail", "web", "shop\/db" and the other for "post"/);
    expect(ended.code).toBe(23);
    expect(several.agent.isRunning()).toBe(true);
  });

  it("lets nobody into a volume that has had its session, while others go on", async () => {
    using place = newPlace();
    await using several = await target(place);
    await using web = several.source("web", ...SLOW);
    await using first = several.source("mail");
    await expectCode(first, 0);
    await several.agent.says(/^\[mail\] Everything was kept/m);
    await using second = several.source("mail");
    expect((await expectCode(second, 33)).stderr).toMatch(/has been served already/);
    await expectCode(web, 0);
    expect(several.agent.isRunning()).toBe(true);
    await using shop = several.source("shop/db");
    await expectCode(shop, 0);
    await expectCode(several.agent, 0);
    await expectCopied(place, ...NAMES);
  });

  it("waits for the source of one volume that was killed while another one's copy goes on", async () => {
    using place = newPlace();
    await using several = await target(place);
    await using web = several.source("web", ...SLOW);
    await using mail = several.source("mail", ...SLOW);
    while (!existsSync(`${copyIn(place, "mail")}/.pvferry/journal`)) await pause();
    mail.kill("SIGKILL");
    await several.agent.says(/^\[mail\] .*Waiting for the source/m);
    await using shop = several.source("shop/db");
    await using again = several.source("mail");
    for (const agent of [again, shop, web]) await expectCode(agent, 0);
    await expectCode(several.agent, 0);
    expect(receiptIn(place, "web")).toMatchObject({ sessions: 1 });
    expect(receiptIn(place, "mail")).toMatchObject({ sessions: 2 });
    await expectCopied(place, ...NAMES);
  });

  it("goes on with every volume when it was killed and is started again", async () => {
    using place = newPlace();
    const flags = ["--checkpoint", "200ms"];
    await using killed = await target(place, { flags });
    const sources = NAMES.map((name) => killed.source(name, ...SLOW));
    await using all = new AsyncDisposableStack();
    for (const agent of sources) all.use(agent);
    for (const name of NAMES) {
      while (!existsSync(`${copyIn(place, name)}/.pvferry/journal`)) await pause();
    }
    killed.agent.kill("SIGKILL");
    await killed.agent.ended;
    await using again = await target(place, { port: killed.port, flags });
    for (const agent of sources) await expectCode(agent, 0);
    await expectCode(again.agent, 0);
    await expectCopied(place, ...NAMES);
  });

  it("ends all of them when it is interrupted", async () => {
    using place = newPlace();
    await using several = await target(place);
    await using mail = several.source("mail", ...SLOW, "--reconnect-timeout", "0");
    await several.agent.says(/^\[web\] Waiting for the source/m);
    while (!existsSync(`${copyIn(place, "mail")}/.pvferry/journal`)) await pause();
    several.agent.kill("SIGTERM");
    const ended = await expectCode(several.agent, 143);
    for (const name of NAMES) expect(ended.stderr).toContain(`${name} with 143 (terminated)`);
    expect((await mail.ended).code).toBe(24);
  });
});

describe("volumes that cannot be served together", () => {
  const place = newPlace();
  const mail = copyIn(place, "mail");
  const web = copyIn(place, "web");
  afterAll(() => place[Symbol.dispose]());

  const two = ["--volume", `mail=${mail}`, "--volume", `web=${web}`];
  it.each<readonly [string, readonly string[], RegExp]>([
    [
      "two of one name",
      ["--volume", `a=${mail}`, "--volume", `a=${web}`],
      /Two volumes are called a/,
    ],
    ["one folder twice", ["--volume", `a=${mail}`, "--volume", `b=${mail}/.`], /the same folder/],
    [
      "one in another",
      ["--volume", `a=${place.at("copies")}`, "--volume", `b=${mail}`],
      /lie in each other/,
    ],
    ["DST besides", [mail, ...two], /DST is given, and --volume as well/],
    ["no folder", ["--volume", "mail"], /the folder of the volume mail is missing/],
    ["none at all", [], /DST is empty/],
    [
      "one receipt for all",
      [...two, "--receipt", place.at("r.json")],
      /one file for several volumes/,
    ],
    ["one source for all", [...two, "--to", "127.0.0.1:1"], /has one source/],
  ])("%s", async (_, args, says) => {
    const ended = await pvferry(["target", ...args, "--tls", `${pki}/target`]);
    expect(ended.stderr).toMatch(says);
    expect(ended.code).toBe(2);
  });

  it("a folder for a source's volume", async () => {
    const args = ["source", mail, "--volume", `mail=${mail}`, "--to", "127.0.0.1:1"];
    const ended = await pvferry([...args, "--tls", `${pki}/source`]);
    expect(ended.stderr).toMatch(/a source has its folder from SRC/);
    expect(ended.code).toBe(2);
  });
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}
