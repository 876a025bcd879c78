/**
 * Two clusters and what lies between them, each a network namespace: source - router - target, by IPv4 and IPv6. Unless the
 * router forwards packets, only programs that run in it get anything across. Needs root.
 */
import { execFileSync } from "node:child_process";

import { run } from "../bed-folder.ts";
import { networkNamespace, type NetworkNamespace } from "../network-namespace.ts";

export interface ClustersOptions {
  /** Whether the router forwards packets, as where nothing but the Internet is in between. */
  readonly forwards?: boolean;
}

export interface TwoClusters extends Disposable {
  readonly source: NetworkNamespace;
  readonly router: NetworkNamespace;
  readonly target: NetworkNamespace;
}

/** The router has an address in each cluster. */
export const ADDRESSES = {
  source: { v4: "10.91.1.2", v6: "fd91:1::2" },
  sourceRouter: { v4: "10.91.1.1", v6: "fd91:1::1" },
  targetRouter: { v4: "10.91.2.1", v6: "fd91:2::1" },
  target: { v4: "10.91.2.2", v6: "fd91:2::2" },
} as const;

/** The router's links. */
export const TO_SOURCE = "to-source";
export const TO_TARGET = "to-target";

/** A cluster knows the router by this name, and only the router knows the target by the other: names are a proxy's affair. */
export const ROUTER_NAME = "proxy.example.test";
export const TARGET_NAME = "agent.example.test";

/** The source knows the router by this one as well. */
export const ROUTE_NAME = "agent.apps.example.test";

type Place = keyof typeof ADDRESSES;

function bothOf(place: Place): readonly string[] {
  return [ADDRESSES[place].v4, ADDRESSES[place].v6];
}

function ip({ name }: NetworkNamespace, ...lines: readonly string[]): void {
  const input = lines.join("\n");
  execFileSync("ip", ["-n", name, "-batch", "-"], { input, stdio: ["pipe", "ignore", "pipe"] });
}

interface LinkEnd {
  readonly namespace: NetworkNamespace;
  readonly link: string;
  readonly place: Place;
  readonly ethernet: string;
}

/**
 * Each end knows where the other is. Asking for it by IPv6 fails for a second after a link has come up, and so does an
 * address that is first checked for duplicates.
 */
function setUp(own: LinkEnd, other: LinkEnd): void {
  const { link } = own;
  ip(
    own.namespace,
    `address add ${ADDRESSES[own.place].v4}/24 dev ${link}`,
    `address add ${ADDRESSES[own.place].v6}/64 dev ${link} nodad`,
    `link set ${link} up`,
    ...bothOf(other.place).map((to) => `neighbour add ${to} lladdr ${other.ethernet} dev ${link}`),
  );
}

function join(cluster: LinkEnd, router: LinkEnd): void {
  const { link, ethernet, namespace } = router;
  ip(
    cluster.namespace,
    `link add ${cluster.link} address ${cluster.ethernet} type veth peer name ${link} address ${ethernet} netns ${namespace.name}`,
  );
  setUp(cluster, router);
  setUp(router, cluster);
  ip(cluster.namespace, ...bothOf(router.place).map((via) => `route add default via ${via}`));
  cluster.namespace.knows({ [ROUTER_NAME]: bothOf(router.place) });
}

function joinAll({ source, router, target }: Omit<TwoClusters, symbol>): void {
  const end = (namespace: NetworkNamespace, link: string, place: Place): LinkEnd => {
    const number = Object.keys(ADDRESSES).indexOf(place);
    return { namespace, link, place, ethernet: `02:00:00:00:00:0${number}` };
  };
  join(end(source, "uplink", "source"), end(router, TO_SOURCE, "sourceRouter"));
  join(end(target, "uplink", "target"), end(router, TO_TARGET, "targetRouter"));
  const both = bothOf("sourceRouter");
  source.knows({ [ROUTER_NAME]: both, [ROUTE_NAME]: both });
  router.knows({ [TARGET_NAME]: bothOf("target") });
}

/** The target has this address in place of its own one of IPv4 until it is disposed: a pod that is started again. */
export function moveTarget({ target }: TwoClusters, address: string): Disposable {
  const replace = (old: string, other: string): void =>
    ip(
      target,
      `address delete ${old}/24 dev uplink`,
      `address add ${other}/24 dev uplink`,
      `route replace default via ${ADDRESSES.targetRouter.v4}`,
    );
  replace(ADDRESSES.target.v4, address);
  return { [Symbol.dispose]: () => replace(address, ADDRESSES.target.v4) };
}

export function twoClusters(options: ClustersOptions = {}): TwoClusters {
  using made = new DisposableStack();
  const make = (): NetworkNamespace => made.use(networkNamespace());
  const all = { source: make(), router: make(), target: make() };
  joinAll(all);
  const value = (options.forwards ?? false) ? 1 : 0;
  const settings = [`net.ipv4.ip_forward=${value}`, `net.ipv6.conf.all.forwarding=${value}`];
  run("nsenter", `--net=${all.router.path}`, "sysctl", "--quiet", "--write", ...settings);
  const kept = made.move();
  return { ...all, [Symbol.dispose]: () => kept.dispose() };
}
