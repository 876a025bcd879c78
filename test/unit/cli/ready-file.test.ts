import { existsSync, readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { ReadyFile } from "../../../src/cli/ready-file.ts";
import { parseProxy } from "../../../src/config/proxy.ts";
import type { ForwardCalls, RemoteForward } from "../../../src/net/remote-forward.ts";
import { refusalOf } from "../../bed/refusal.ts";
import { scratch } from "../../bed/scratch.ts";

const BASTION = parseProxy("ssh://core:s3cr3t@bastion.example:2222");

/** A forward that does what it is told, and what was heard of it. */
function follow(
  ready: ReadyFile,
  host: string,
): { readonly calls: ForwardCalls; readonly heard: string[] } {
  if (BASTION === undefined) throw new Error("the bastion is none");
  let calls: ForwardCalls | undefined;
  const heard: string[] = [];
  const forward: RemoteForward = {
    text: "there",
    open: (given) => {
      calls = given;
      return { close: () => undefined };
    },
  };
  ready.follows(forward, BASTION, { host, port: 6443 }).open({
    connection: () => undefined,
    listening: (text) => heard.push(text),
    waiting: (what) => heard.push(what),
    fail: () => undefined,
  });
  if (calls === undefined) throw new Error("the forward was not opened");
  return { calls, heard };
}

it("is there while the bastion listens, and says how to come there", () => {
  using place = scratch();
  const file = place.at("ready");
  {
    using ready = new ReadyFile(file);
    const { calls, heard } = follow(ready, "0.0.0.0");
    expect(existsSync(file)).toBe(false);
    calls.listening("there");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
      endpoint: "bastion.example:6443",
      via: [],
      host: "0.0.0.0",
      port: 6443,
      addresses: ["bastion.example"],
    });
    calls.waiting("the bastion");
    expect(existsSync(file)).toBe(false);
    calls.listening("there");
    expect(existsSync(file)).toBe(true);
    expect(heard).toEqual(["there", "the bastion", "there"]);
  }
  expect(existsSync(file)).toBe(false);
});

it("names the bastion as a proxy when it listens for itself only, without its password", () => {
  using place = scratch();
  using ready = new ReadyFile(place.at("ready"));
  follow(ready, "127.0.0.1").calls.listening("there");
  expect(JSON.parse(readFileSync(place.at("ready"), "utf8"))).toMatchObject({
    endpoint: "127.0.0.1:6443",
    via: ["ssh://bastion.example:2222"],
  });
});

it("is refused where nobody listens, and nothing when there is none", () => {
  using place = scratch();
  using ready = new ReadyFile(place.at("ready"));
  expect(refusalOf(() => ready.refuse())).toMatchObject({ code: 2 });
  using none = new ReadyFile(null);
  none.refuse();
  none.listens({ host: "127.0.0.1", port: 1 });
});
