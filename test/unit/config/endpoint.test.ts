import { describe, expect, test } from "vitest";

import { ENDPOINT, endpointText, serverNameOf } from "../../../src/config/endpoint.ts";

describe("endpoints", () => {
  test.for([
    ["target.example:6443", "tcp", ["target.example"], 6443, "target.example:6443"],
    ["tcp:10.0.0.7:1", "tcp", ["10.0.0.7"], 1, "10.0.0.7:1"],
    ["tcp:[2001:db8::7]:6443", "tcp", ["2001:db8::7"], 6443, "[2001:db8::7]:6443"],
    ["route:a.apps.example", "route", ["a.apps.example"], 443, "route:a.apps.example:443"],
    ["route:a.apps.example:8443", "route", ["a.apps.example"], 8443, "route:a.apps.example:8443"],
    ["nodeport:n1:30443", "nodeport", ["n1"], 30_443, "nodeport:n1:30443"],
    [
      "nodeport:n1,10.0.0.2:30443",
      "nodeport",
      ["n1", "10.0.0.2"],
      30_443,
      "nodeport:n1,10.0.0.2:30443",
    ],
    [
      "nodeport:[fd00::1],[fd00::2]:3",
      "nodeport",
      ["fd00::1", "fd00::2"],
      3,
      "nodeport:[fd00::1],[fd00::2]:3",
    ],
    ["clusterip:svc.ns.svc:6443", "clusterip", ["svc.ns.svc"], 6443, "clusterip:svc.ns.svc:6443"],
    ["clusterip:[fd00::9]:6443", "clusterip", ["fd00::9"], 6443, "clusterip:[fd00::9]:6443"],
    // A host that is called like a kind.
    ["route:443", "tcp", ["route"], 443, "route:443"],
  ] as const)("%s", ([text, kind, hosts, port, printed]) => {
    const endpoint = ENDPOINT.parse(text);
    expect(endpoint).toEqual({ kind, hosts, port });
    expect(endpoint && endpointText(endpoint)).toBe(printed);
    expect(ENDPOINT.parse(printed)).toEqual(endpoint);
  });

  test.for([
    "",
    "host",
    "tcp:host",
    "tcp:::1:5",
    "udp:host:1",
    "route:",
    "route:10.0.0.7",
    "route:[fd00::1]:443",
    "route:a b",
    "route:host:0",
    "nodeport:n1,n2",
    "nodeport:,n2:3",
    "nodeport:n1:2,n2:3",
    `nodeport:${Array.from({ length: 65 }, (_, n) => `n${n}`).join(",")}:3`,
    "clusterip:host:65536",
  ])("%j is none", (text) => {
    expect(ENDPOINT.parse(text)).toBeUndefined();
  });

  test.for([
    ["route:a.example", "a.example"],
    ["target.example:1", "target.example"],
    ["10.0.0.7:1", null],
    ["[fd00::1]:1", null],
  ] as const)("SNI of %s", ([text, name]) => {
    const endpoint = ENDPOINT.parse(text);
    expect(endpoint && serverNameOf(endpoint)).toBe(name);
  });
});
