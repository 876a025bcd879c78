/** What goes away without a word in the middle of a copy: a node, a network, a target that comes back elsewhere. */
import { setTimeout as sleep } from "node:timers/promises";

import { expect, it } from "vitest";

import { AGENT_PORT, targetApart } from "../agent/agents-apart.ts";
import { receiptOf } from "../agent/receipt.ts";
import { transferApart } from "../agent/transfer-apart.ts";
import { describeWith } from "../bed/needs.ts";
import { DROPPED, fault, longerThan } from "../bed/network/fault.ts";
import { nodePort, NODES } from "../bed/network/node-port.ts";
import { paceToTarget } from "../bed/network/pace.ts";
import { ADDRESSES, moveTarget, TARGET_NAME, TO_TARGET } from "../bed/network/two-clusters.ts";
import { scratch } from "../bed/scratch.ts";

const NODE_PORT = 30_443;
/** As long as a black hole may stay unnoticed. */
const NOTICED_MS = 30_000;
const BROKEN = /Trying a new session until|Waiting for the source until/;
const PARTITION_MS = 60_000;
const MOVED_TO = "10.91.2.77";
const judges = ["rsync", "getfattr", "getfacl"];
const programs = ["ip", "nft", "tc", ...judges];

describeWith({ root: true, programs }, "a copy goes on", () => {
  const { clusters, pki, startTarget, startSource, crossed, expectCopy } = transferApart({
    forwards: true,
  });

  it("through the node that is left, when one goes away", async () => {
    using place = scratch();
    const { router } = clusters();
    using service = nodePort({ router, port: NODE_PORT, targetPort: AGENT_PORT });
    await using target = await startTarget(place);
    using _pace = paceToTarget(router, 100);
    const [one, other] = NODES;
    const to = `nodeport:${one.v4},${other.v4}:${NODE_PORT}`;
    await using source = startSource(to, "--lanes", "4");
    await crossed();
    using _lost = service.lose(other);
    const [sent] = await expectCopy(place, source, target);
    expect(sent.stderr).toMatch(/Lane \d was lost, and is dialled again/);
    expect(receiptOf(sent)).toMatchObject({ sessions: 1 });
    expect(receiptOf(sent).reconnects).toBeGreaterThan(0);
  });

  it("through the node that is there, when the first is not", async () => {
    using place = scratch();
    const { router } = clusters();
    using service = nodePort({ router, port: NODE_PORT, targetPort: AGENT_PORT });
    const [one, other] = NODES;
    using _lost = service.lose(one);
    await using target = await startTarget(place);
    await using source = startSource(`nodeport:${one.v4},${other.v4}:${NODE_PORT}`);
    const [sent] = await expectCopy(place, source, target);
    expect(receiptOf(sent)).toMatchObject({ sessions: 1 });
  });

  it.each([
    ["nothing passes", DROPPED],
    ["no full packet passes", longerThan(1400)],
  ])("when it does pass again, and notices within 30 seconds that %s", async (_, rule) => {
    using place = scratch();
    const { router } = clusters();
    await using target = await startTarget(place);
    using _pace = paceToTarget(router, 100);
    await using source = startSource(`${ADDRESSES.target.v4}:${AGENT_PORT}`);
    await crossed();
    {
      using _fault = fault({ router, link: TO_TARGET, rule });
      const since = performance.now();
      await source.says(/was lost, and is dialled again|Trying a new session until/);
      expect(performance.now() - since).toBeLessThan(NOTICED_MS);
    }
    const [sent] = await expectCopy(place, source, target);
    const { sessions, reconnects } = receiptOf(sent);
    expect(sessions + reconnects).toBeGreaterThan(1);
  });

  it("after a minute in which nothing passed between the two clusters", async () => {
    using place = scratch();
    const { router } = clusters();
    await using target = await startTarget(place);
    using _pace = paceToTarget(router, 100);
    await using source = startSource(`${ADDRESSES.target.v4}:${AGENT_PORT}`);
    await crossed();
    {
      using partition = fault({ router, link: TO_TARGET, rule: DROPPED });
      const since = performance.now();
      await Promise.all([source, target].map(async (side) => side.says(BROKEN)));
      expect(performance.now() - since).toBeLessThan(NOTICED_MS);
      await sleep(PARTITION_MS - (performance.now() - since));
      expect(partition.packets()).toBeGreaterThan(0);
      expect([source.isRunning(), target.isRunning()]).toEqual([true, true]);
    }
    const [sent] = await expectCopy(place, source, target);
    expect(receiptOf(sent).sessions).toBeGreaterThan(1);
    expect(receiptOf(sent).matchedBytes).toBeGreaterThan(0);
  });

  it("when both sides are started again that have given up a partition", async () => {
    using place = scratch();
    const { router, target: far } = clusters();
    const to = `${ADDRESSES.target.v4}:${AGENT_PORT}`;
    const impatient = ["--reconnect-timeout", "10s"];
    const volume = place.directory("target");
    const options = { cluster: far, volume, pki };
    await using target = targetApart({ ...options, flags: impatient });
    await target.says(/^Listening on /m);
    using _pace = paceToTarget(router, 100);
    await using source = startSource(to, ...impatient);
    await crossed();
    {
      using _partition = fault({ router, link: TO_TARGET, rule: DROPPED });
      for (const { code, stderr } of [await source.ended, await target.ended]) {
        expect(code, stderr).toBe(20);
        expect(stderr).toContain(
          "Nothing could be copied within 10s of the first loss (--reconnect-timeout).",
        );
        expect(stderr).toContain("then run the same command again on both");
      }
    }
    await using later = targetApart(options);
    await using again = startSource(to);
    const [sent] = await expectCopy(place, again, later);
    expect(receiptOf(sent).matchedBytes).toBeGreaterThan(0);
  });

  it("to a target that is started again at another address behind the same name", async () => {
    using place = scratch();
    const { source: near, router, target: far } = clusters();
    near.knows({ [TARGET_NAME]: [ADDRESSES.target.v4] });
    using _pace = paceToTarget(router, 100);
    await using first = await startTarget(place);
    await using source = startSource(`${TARGET_NAME}:${AGENT_PORT}`);
    await crossed();
    first.kill("SIGKILL");
    await first.ended;
    using _moved = moveTarget(clusters(), MOVED_TO);
    near.knows({ [TARGET_NAME]: [MOVED_TO] });
    await using again = targetApart({ cluster: far, volume: place.at("target"), pki });
    const [sent] = await expectCopy(place, source, again);
    expect(receiptOf(sent).sessions).toBeGreaterThan(1);
  });
});
