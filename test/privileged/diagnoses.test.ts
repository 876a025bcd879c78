/** What stands in the way, provoked for real: the doctor says what it is, and a transfer that fails says the same. */
import { afterAll, describe, expect, it } from "vitest";

import { AGENT_PORT } from "../agent/agents-apart.ts";
import { examineFrom, expectSameWords, type Examined } from "../agent/examine.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { issueServer, makeAuthority } from "../bed/network/certificates.ts";
import { DROPPED, fault, PROHIBITED, RESET, UNREACHABLE } from "../bed/network/fault.ts";
import { greeter } from "../bed/network/greeter.ts";
import {
  CERTIFICATE_MAKER,
  inspectingSquid,
  INSPECTION_CA,
} from "../bed/network/inspecting-squid.ts";
import { routeRouter, type Route } from "../bed/network/route-router.ts";
import { squid } from "../bed/network/squid.ts";
import { sshd } from "../bed/network/sshd.ts";
import {
  ADDRESSES,
  ROUTE_NAME,
  ROUTER_NAME,
  TARGET_NAME,
  TO_TARGET,
  type TwoClusters,
} from "../bed/network/two-clusters.ts";
import { upgradeWall } from "../bed/network/upgrade-wall.ts";
import { scratch } from "../bed/scratch.ts";

const WEB_PORT = 7000;
const WALL_PORT = 8080;
const WALL = `${ADDRESSES.sourceRouter.v4}:${WALL_PORT}`;
const DIRECT = `${ADDRESSES.target.v4}:${AGENT_PORT}`;
const BY_NAME = `${TARGET_NAME}:${AGENT_PORT}`;
const PROXY = `http://${ROUTER_NAME}:3128`;
const INSPECTOR = `http://${ROUTER_NAME}:3130`;
const BASTION = `ssh://bastion@${ROUTER_NAME}:2222`;
const PASSED: Route = { host: ROUTE_NAME, to: DIRECT };
const programs = ["ip", "nft", "openssl", "socat", "haproxy", "squid", "sshd", CERTIFICATE_MAKER];

const papers = scratch();

function certificateFor(name: string, addresses: readonly string[] = []): string {
  const authority = makeAuthority(papers.path, "private-ca");
  return issueServer(papers.path, authority, name, addresses);
}

interface Obstacle {
  /** Everything is up as long as this is not disposed. */
  readonly raise: (
    clusters: TwoClusters,
  ) => Disposable | AsyncDisposable | Promise<AsyncDisposable>;
  readonly to: string;
  readonly flags?: readonly string[];
  readonly code: number;
  readonly says: RegExp;
}

function broken(rule: string): Obstacle["raise"] {
  return ({ router }) => fault({ router, link: TO_TARGET, rule });
}

const NOTHING: Obstacle["raise"] = () => new DisposableStack();

const OBSTACLES: { readonly [what: string]: Obstacle } = {
  "nobody listens": {
    raise: NOTHING,
    to: `${ADDRESSES.target.v4}:9`,
    code: 20,
    says: /^Nothing listens at 10\.91\.2\.2:9 \(connection refused\)/,
  },
  "a name that nobody knows": {
    raise: NOTHING,
    to: "unknown.example.test:6443",
    code: 20,
    says: /unknown\.example\.test (?:does not resolve|could not be looked up now)/,
  },
  "a firewall that refuses": { raise: broken(RESET), to: DIRECT, code: 20, says: /refused/ },
  "a firewall that says so": {
    raise: broken(PROHIBITED),
    to: DIRECT,
    code: 20,
    says: /host unreachable/,
  },
  "a network without a way": {
    raise: broken(UNREACHABLE),
    to: DIRECT,
    code: 20,
    says: /unreachable/,
  },
  "a firewall that says nothing": {
    raise: broken(DROPPED),
    to: DIRECT,
    code: 20,
    says: /No answer from 10\.91\.2\.2:6443/,
  },
  "a web server": {
    raise: async ({ target: namespace }) => greeter({ namespace, port: WEB_PORT }),
    to: `${ADDRESSES.target.v4}:${WEB_PORT}`,
    code: 23,
    says: /does not speak TLS answers at 10\.91\.2\.2:7000/,
  },
  "a wall that passes upgrades only": {
    raise: async ({ router: namespace }) => upgradeWall({ namespace, port: WALL_PORT, to: DIRECT }),
    to: WALL,
    code: 23,
    says: /A web server \(plain HTTP\) answers at 10\.91\.1\.1:8080, which passes only .* upgrade, to SPDY or WebSocket \(426 /,
  },
  "such a wall behind TLS": {
    raise: async ({ router: namespace }) => {
      const certificate = certificateFor("ingress.example.test");
      return upgradeWall({ namespace, port: WALL_PORT, to: DIRECT, certificate });
    },
    to: WALL,
    code: 22,
    says: /a certificate for ingress\.example\.test, .* passes only .* upgrade, to SPDY or WebSocket \(426 /,
  },
  "such a wall in a proxy's place": {
    raise: async ({ router: namespace }) => upgradeWall({ namespace, port: WALL_PORT, to: DIRECT }),
    to: BY_NAME,
    flags: ["--via", `http://${WALL}`],
    code: 21,
    says: /^The proxy http:\/\/10\.91\.1\.1:8080 passes only .* upgrade, to SPDY or WebSocket \(426 /,
  },
  "a Kubernetes API server": {
    raise: async ({ target: namespace }) => {
      const certificate = certificateFor("kubernetes.default.svc", [ADDRESSES.target.v4]);
      return greeter({ namespace, port: WEB_PORT, certificate });
    },
    to: `${ADDRESSES.target.v4}:${WEB_PORT}`,
    code: 22,
    says: /that is a Kubernetes API server, which lets nobody through to a pod but by an upgrade/,
  },
  "a router that knows no such route": {
    raise: async ({ router: namespace }) => routeRouter({ namespace, routes: [] }),
    to: `route:${ROUTE_NAME}`,
    code: 22,
    says: /a router's default: it knows no route with TLS termination passthrough/,
  },
  "a route without endpoints": {
    raise: async ({ router: namespace }) => {
      const router = await routeRouter({ namespace, routes: [PASSED] });
      await router.setEndpoints(ROUTE_NAME, "gone");
      return router;
    },
    to: `route:${ROUTE_NAME}`,
    code: 20,
    says: /the router answers, but has no endpoint behind the route/,
  },
  "a proxy that wants to know who asks": {
    raise: async ({ router: namespace }) =>
      squid({ namespace, credentials: { user: "alice", password: "s3:c r%t@" } }),
    to: BY_NAME,
    flags: ["--via", PROXY],
    code: 21,
    says: /The proxy http:\/\/proxy\.example\.test:3128 wants a user and a password \(407\)/,
  },
  "a proxy that does not allow the port": {
    raise: async ({ router: namespace }) => squid({ namespace, allowedPorts: [443] }),
    to: BY_NAME,
    flags: ["--via", PROXY],
    code: 21,
    says: /does not allow connections to agent\.example\.test:6443 \(403 /,
  },
  "a proxy that cannot connect": {
    raise: async ({ router: namespace }) => squid({ namespace }),
    to: `${TARGET_NAME}:9`,
    flags: ["--via", PROXY],
    code: 21,
    says: /could not connect to agent\.example\.test:9 \(503 /,
  },
  "a proxy that is not there": {
    raise: NOTHING,
    to: BY_NAME,
    flags: ["--via", PROXY],
    code: 21,
    says: /The proxy \S+ cannot be reached: Nothing listens at proxy\.example\.test:3128/,
  },
  "a bastion with an unknown key": {
    raise: async ({ router: namespace }) => sshd({ namespace }),
    to: BY_NAME,
    flags: ["--via", BASTION, "--ssh-known-hosts", "/dev/null"],
    code: 22,
    says: /SHA256:/,
  },
};

describeWith({ root: true, programs }, "in the way", () => {
  const { clusters, pki, startTarget, startSource } = transferApart({ forwards: true });

  afterAll(() => papers[Symbol.dispose]());

  const examine = async (to: string, ...flags: readonly string[]): Promise<Examined> =>
    examineFrom(clusters().source, pki, "--to", to, ...flags);

  const expectTheSame = async (
    { to, flags = [] }: Pick<Obstacle, "to" | "flags">,
    diagnosis: Examined,
  ): Promise<void> => {
    await using source = startSource(to, "--connect-timeout", "1s", ...flags);
    await expectSameWords(source, diagnosis);
  };

  it.each(Object.entries(OBSTACLES))("%s", async (_, obstacle) => {
    await using _up = await obstacle.raise(clusters());
    const diagnosis = await examine(obstacle.to, ...(obstacle.flags ?? []));
    expect(diagnosis.message).toMatch(obstacle.says);
    expect([diagnosis.exit, diagnosis.code]).toEqual([obstacle.code, obstacle.code]);
    expect(diagnosis.next).not.toBe("");
    expect(diagnosis.steps.filter(({ verdict }) => verdict === "failed")).toHaveLength(1);
    expect(diagnosis.steps.at(-1)?.verdict).toBe("failed");
    await expectTheSame(obstacle, diagnosis);
  });

  describe("with a target behind it", () => {
    it("a router that ends TLS", async () => {
      const ends = { ...PASSED, termination: "edge" } as const;
      await using _router = await routeRouter({ namespace: clusters().router, routes: [ends] });
      const diagnosis = await examine(`route:${ROUTE_NAME}`);
      expect(diagnosis).toMatchObject({ exit: 22, code: 22 });
      expect(diagnosis.message).toContain("termination passthrough");
    });

    it("a man in the middle, who is no more when he spares the target", async () => {
      using place = scratch();
      await using target = await startTarget(place);
      const { router: namespace } = clusters();
      const via = ["--via", INSPECTOR];
      {
        await using _inspects = await inspectingSquid({ namespace });
        const diagnosis = await examine(BY_NAME, ...via);
        const { exit, message, next } = diagnosis;
        expect([exit, message]).toEqual([22, expect.stringContaining("(a man in the middle)")]);
        expect(message).toContain(`issued by CN=${INSPECTION_CA}: `);
        expect(message).toContain(`most likely ${INSPECTOR}`);
        expect(next).toContain("ssl_bump splice");
        await expectTheSame({ to: BY_NAME, flags: via }, diagnosis);
      }
      await using _spares = await inspectingSquid({ namespace, spared: [TARGET_NAME] });
      expect(await examine(BY_NAME, ...via)).toMatchObject({ exit: 0, code: 0 });
      expect(target.isRunning()).toBe(true);
    });

    it("nothing", async () => {
      using place = scratch();
      await using target = await startTarget(place);
      const { exit, steps } = await examine(DIRECT);
      expect([exit, new Set(steps.map(({ verdict }) => verdict))]).toEqual([0, new Set(["ok"])]);
      expect(target.isRunning()).toBe(true);
    });
  });
});
