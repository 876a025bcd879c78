import { describe, expect, it } from "vitest";

import { ENDPOINT } from "../../../../src/config/endpoint.ts";
import { parseProxy } from "../../../../src/config/proxy.ts";
import type { PvferryError } from "../../../../src/core/errors.ts";
import type { HttpAnswer } from "../../../../src/net/http-look.ts";
import type { SeenCertificate } from "../../../../src/net/tls-look.ts";
import { explainCertificate } from "../../../../src/session/doctor/explain-tls.ts";

const STRANGE: SeenCertificate = {
  subject: "CN=x",
  issuer: "CN=Some CA",
  names: [],
  uris: [],
  fingerprint: "AA",
  isOurs: false,
  isPublic: false,
};

function explained(
  to: string,
  certificate: Partial<SeenCertificate>,
  via?: string,
  web?: HttpAnswer,
): PvferryError | null {
  const endpoint = ENDPOINT.parse(to);
  if (endpoint === undefined) throw new Error(`${to} is no endpoint`);
  const proxy = via === undefined ? undefined : parseProxy(via);
  return explainCertificate({
    endpoint,
    host: endpoint.hosts[0],
    proxies: proxy === undefined ? [] : [proxy],
    certificate: { ...STRANGE, ...certificate },
    web: web ?? null,
  });
}

describe("who answers in the target's place", () => {
  it.each([
    [
      "the router by its default certificate",
      "route:a.apps.example",
      { names: ["*.apps.example"] },
      /router's default/,
    ],
    [
      "OpenShift's router",
      "a.apps.example:443",
      { names: ["*.apps.example"], issuer: "CN=ingress-operator@1700000000" },
      /router's default/,
    ],
    [
      "the router that ends TLS",
      "route:a.apps.example",
      { names: ["a.apps.example"] },
      /edge or reencrypt/,
    ],
    [
      "the same with a well-known CA",
      "route:a.apps.example",
      { names: ["a.apps.example"], isPublic: true },
      /edge or reencrypt/,
    ],
    ["a man in the middle", "nodeport:10.0.0.7:30443", { names: ["10.0.0.7"] }, /inspects TLS/],
    ["a man in the middle of IPv6", "[2001:DB8::7]:1", { names: ["2001:db8::7"] }, /inspects TLS/],
    [
      "a web server",
      "www.example:443",
      { names: ["www.example"], isPublic: true },
      /another TLS server/,
    ],
    [
      "a Kubernetes API server",
      "10.0.0.7:6443",
      { names: ["10.0.0.7", "kubernetes.default.svc"] },
      /a Kubernetes API server.*SPDY or WebSocket/,
    ],
    ["a load balancer", "10.0.0.7:443", { names: ["lb.example"] }, /another TLS server/],
    [
      "another transfer",
      "10.0.0.7:6443",
      { uris: ["pvferry://t2/target"], issuer: "O=pvferry, OU=t2, CN=pvferry CA" },
      /another transfer/,
    ],
    [
      "a man in the middle who imitates the target's own certificate",
      "10.0.0.7:6443",
      { uris: ["pvferry://t1/target"], issuer: "CN=Example Inspection" },
      /inspects TLS/,
    ],
  ] as const)("%s", (_, to, certificate, words) => {
    const error = explained(to, certificate);
    expect(error).toMatchObject({ code: 22 });
    expect(error?.message).toMatch(words);
    expect(error?.next).not.toBe("");
  });

  it.each([
    ["a web server", { names: ["10.0.0.7"], isPublic: true }],
    ["a load balancer", { names: ["lb.example"] }],
    ["an ingress with a CA of its own", { names: ["10.0.0.7"] }],
  ])("is a wall when %s passes upgrades only", (_, certificate) => {
    const web = { said: "426 Upgrade Required", passesOnlyUpgrades: true };
    const error = explained("10.0.0.7:443", certificate, undefined, web);
    expect(error?.message).toContain("to SPDY or WebSocket (426 Upgrade Required)");
    expect(explained("10.0.0.7:443", certificate)?.message).not.toContain("WebSocket");
  });

  it("may be a route that its router does not know yet", () => {
    expect(explained("route:a.apps.example", { names: ["*.apps.example"] })?.temporary).toBe(true);
    expect(explained("route:a.apps.example", { names: ["a.apps.example"] })?.temporary).toBe(false);
  });

  it("is most likely a proxy on the way", () => {
    const via = "http://alice:s3cr3t@proxy:3128";
    const message = explained("10.0.0.7:1", { names: ["10.0.0.7"] }, via)?.message;
    expect(message).toContain("most likely http://proxy:3128");
    expect(message).not.toContain("s3cr3t");
  });

  it("is nobody when the certificate is this transfer's", () => {
    expect(explained("10.0.0.7:1", { isOurs: true })).toBeNull();
  });

  it("has no say in what the terminal does", () => {
    const message = explained("10.0.0.7:1", {
      subject: "CN=\u001b[2J",
      issuer: "CN=\u202e",
    })?.message;
    expect(message).toContain(String.raw`CN=\x1b[2J`);
    expect(message).toContain(String.raw`CN=\u202e`);
  });
});
