import { describe, expect, test } from "vitest";

import { FINGERPRINT, listenKind, VIA } from "../../../src/config/proxy-kinds.ts";
import { parseProxy, proxyText } from "../../../src/config/proxy.ts";

describe("the URL of a proxy", () => {
  test.for([
    ["http://proxy.example:3128", ["http", "proxy.example", 3128, null, null]],
    ["http://proxy.example:80/", ["http", "proxy.example", 80, null, null]],
    ["http://proxy.example", ["http", "proxy.example", 80, null, null]],
    ["https://proxy.example", ["https", "proxy.example", 443, null, null]],
    ["socks5://10.0.0.1", ["socks5", "10.0.0.1", 1080, null, null]],
    ["socks5h://[fd00::1]:1081", ["socks5h", "fd00::1", 1081, null, null]],
    ["ssh://core@bastion", ["ssh", "bastion", 22, "core", null]],
    // As Migration Toolkit for Containers documents stunnel_tcp_proxy.
    ["http://username:password@10.0.0.1:3128", ["http", "10.0.0.1", 3128, "username", "password"]],
    ["http://a%40b:p%3Aw%2F%25@h:1", ["http", "h", 1, "a@b", "p:w/%"]],
    ["http://alice:s3cr3t:x@h:1", ["http", "h", 1, "alice", "s3cr3t:x"]],
    ["http://alice:p@ss%word/x@h:1", ["http", "h", 1, "alice", "p@ss%word/x"]],
    ["http://alice:@h:1", ["http", "h", 1, "alice", ""]],
    ["http://alice@h:1", ["http", "h", 1, "alice", null]],
  ] as const)("%s", ([text, [scheme, host, port, user, password]]) => {
    expect(parseProxy(text)).toEqual({ scheme, host, port, user, password });
  });

  test.for([
    "",
    "proxy.example:3128",
    "ftp://h:1",
    "http://",
    "http://:3128",
    "http://h:0",
    "http://h:65536",
    "http://h:1/path",
    "http://h:1?x",
    "http://a b:1",
    "socks4://h:1",
  ])("%j is none", (text) => {
    expect(parseProxy(text)).toBeUndefined();
  });

  test("is printed without its credentials", () => {
    const proxy = parseProxy("http://alice:s3cr3t@[fd00::1]:3128");
    expect(proxy && proxyText(proxy)).toBe("http://[fd00::1]:3128");
  });

  test("env stands for the usual variables", () => {
    expect(VIA.parse("env")).toBe("env");
    expect(VIA.parse(VIA.example)).toMatchObject({ scheme: "http" });
  });
});

test("a fingerprint is the one of ssh-keygen -l", () => {
  expect(FINGERPRINT.parse(FINGERPRINT.example)).toBe(FINGERPRINT.example);
  expect(FINGERPRINT.parse(`${FINGERPRINT.example}=`)).toBeUndefined();
  expect(FINGERPRINT.parse("MD5:ab:cd")).toBeUndefined();
});

describe("where to listen", () => {
  const kind = listenKind("::", 6443);
  const bastion = { scheme: "ssh", host: "bastion", port: 22, user: "core", password: null };

  test.for([
    ["6443", { host: "::", port: 6443, bastion: null }],
    ["[::1]:0", { host: "::1", port: 0, bastion: null }],
    ["ssh://core@bastion/0.0.0.0:6443", { host: "0.0.0.0", port: 6443, bastion }],
    [
      "ssh://core@bastion:2222/[::]:1",
      { host: "::", port: 1, bastion: { ...bastion, port: 2222 } },
    ],
    [
      "ssh://core:s/l@sh@bastion/127.0.0.1:1",
      { host: "127.0.0.1", port: 1, bastion: { ...bastion, password: "s/l@sh" } },
    ],
  ] as const)("%s", ([text, expected]) => {
    expect(kind.parse(text)).toEqual(expected);
  });

  test.for([
    "",
    "host",
    "ssh://core@bastion",
    "ssh://core@bastion/",
    "ssh://core@bastion/6443",
    "http://p:1/h:2",
  ])("%j is no such place", (text) => {
    expect(kind.parse(text)).toBeUndefined();
  });
});
