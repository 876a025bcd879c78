import { expect, it } from "vitest";

import { LossWatch } from "../../../src/session/loss-watch.ts";

interface Look {
  readonly sent: number;
  readonly repeated: number;
  /** In place of the 50 ms of an empty path. */
  readonly roundTripMs?: number;
}

/** After how many looks the path counts as lossy; null: it does not. */
function lossyAfter(looks: readonly Look[]): number | null {
  const watch = new LossWatch();
  const sums = { sentSegments: 0, repeatedSegments: 0 };
  for (const [index, { sent, repeated, roundTripMs = 50 }] of looks.entries()) {
    sums.sentSegments += sent;
    sums.repeatedSegments += repeated;
    const roundTripUs = roundTripMs * 1_000;
    watch.add({ ...sums, roundTripUs, leastRoundTripUs: 50_000, acknowledgedBytes: 0 });
    if (watch.isLossy) return index;
  }
  return null;
}

const times = (count: number, look: Look): Look[] => Array.from({ length: count }, () => look);

it("a path that loses a packet now and then, whatever its queue, is lossy", () => {
  expect(lossyAfter(times(10, { sent: 300, repeated: 3 }))).toBe(4);
  // One in a thousand: a loss in every third look.
  const seldom = [...times(2, { sent: 350, repeated: 0 }), { sent: 350, repeated: 1 }];
  expect(lossyAfter(times(10, seldom[0] as Look).concat(...times(5, seldom[2] as Look)))).toBe(13);
});

it("a queue that is filled until it loses is not", () => {
  const filling = [60, 90, 200, 210, 150, 100].map((roundTripMs) => ({
    sent: 2_000,
    repeated: roundTripMs > 100 ? 40 : 0,
    roundTripMs,
  }));
  expect(lossyAfter([...filling, ...filling, ...filling])).toBeNull();
});

it("what is lost on one occasion proves nothing", () => {
  const burst = [
    { sent: 1_000, repeated: 0 },
    { sent: 4_000, repeated: 900 },
    { sent: 2_000, repeated: 300 },
  ];
  expect(lossyAfter([...burst, ...times(50, { sent: 1_700, repeated: 0 })])).toBeNull();
});

it("one packet in a hundred thousand does not matter", () => {
  const looks = [...times(19, { sent: 5_000, repeated: 0 }), { sent: 5_000, repeated: 1 }];
  expect(lossyAfter(Array.from({ length: 20 }, () => looks).flat())).toBeNull();
});

it("a path stays lossy, and a connection that is gone makes it no less so", () => {
  const watch = new LossWatch();
  const reading = { roundTripUs: 50_000, leastRoundTripUs: 50_000, acknowledgedBytes: 0 };
  for (let look = 0; look < 6; look += 1) {
    watch.add({ ...reading, sentSegments: look * 300, repeatedSegments: look * 3 });
  }
  expect(watch.isLossy).toBe(true);
  watch.add({ ...reading, sentSegments: 1_000_000, repeatedSegments: 15 });
  expect(watch.isLossy).toBe(true);
});
