import { expect, it } from "vitest";

import type { TransferEvent } from "../../../src/core/events.ts";
import type { Congestion } from "../../../src/native/types.ts";
import { LaneTuning } from "../../../src/session/lane-tuning.ts";

interface Way {
  readonly congestion: Congestion;
  readonly roundTripMs: number;
  readonly losesOneIn: number;
  /** What the kernel says to whatever it is asked for. */
  readonly refusal?: string;
  /** What the kernel knows, where that is less. */
  readonly proxyMs?: number;
  /** The kernel knows nothing, and the target acknowledges so much a lane and look. */
  readonly bridgedBytes?: number;
}

/** What becomes of a transfer that goes on for three seconds. */
function after(way: Way) {
  const { congestion, roundTripMs, losesOneIn, refusal, proxyMs, bridgedBytes } = way;
  const [told, paced, lanes]: [string[], string[], number[]] = [[], [], []];
  let unsent: number | null = null;
  let sentSegments = 0;
  let bytesDone = 0;
  const roundTripUs = (proxyMs ?? roundTripMs) * 1_000;
  const tuning = new LaneTuning({
    session: {
      path: () => ({
        roundTripUs,
        leastRoundTripUs: roundTripUs,
        acknowledgedBytes: sentSegments * 1_448,
        sentSegments,
        repeatedSegments: Math.floor(sentSegments / losesOneIn),
      }),
      limitUnsent: (bytes) => (unsent = bytes),
      setCongestion: (algorithm) => {
        paced.push(algorithm);
        return refusal ?? null;
      },
    },
    lanes: { open: (count) => lanes.push(count), grow: (count) => lanes.push(count) },
    congestion,
    range: { first: 2, long: 8, most: 32 },
    roundTripMs,
    bytesDone: bridgedBytes === undefined ? null : () => bytesDone,
    observe: (event: TransferEvent) => {
      if (event.type !== "notice" && event.type !== "detail") return;
      told.push(`${event.type}: ${event.message}`);
    },
  });
  for (let look = 1; look <= 30; look += 1) {
    // A transfer that is no faster with more lanes.
    sentSegments = look * 500;
    bytesDone += (bridgedBytes ?? 0) * (lanes.at(-1) ?? 0);
    tuning.look(look * 100);
  }
  return { told, paced, lanes, unsent };
}

const ALL = "detail: There are 32 lanes from now on.";

it("a path without loss is left to the kernel", () => {
  const lan = after({ congestion: "auto", roundTripMs: 0.1, losesOneIn: Infinity });
  expect(lan).toEqual({ told: [], paced: [], lanes: [2], unsent: null });
  const long = after({ congestion: "auto", roundTripMs: 50, losesOneIn: Infinity });
  expect(long).toMatchObject({ paced: [], lanes: [8, 16], unsent: 131_072 });
});

it("and so is a short one that loses packets", () => {
  const { paced, lanes } = after({ congestion: "auto", roundTripMs: 0.1, losesOneIn: 100 });
  expect({ paced, lanes }).toEqual({ paced: [], lanes: [2] });
});

it("a path that is long behind a proxy close by counts as long", () => {
  const way = { congestion: "auto", roundTripMs: 50, proxyMs: 0.2, losesOneIn: Infinity } as const;
  expect(after(way)).toMatchObject({ paced: [], lanes: [8, 16], unsent: 131_072 });
});

it("behind a bridge there are more lanes for as long as the target gets more by them", () => {
  const way = { congestion: "auto", losesOneIn: 100, bridgedBytes: 10_000 } as const;
  expect(after({ ...way, roundTripMs: 40 }).lanes).toEqual([8, 16, 32]);
  expect(after({ ...way, roundTripMs: 0.2 }).lanes).toEqual([2]);
  expect(after({ ...way, roundTripMs: 40, bridgedBytes: 0 }).lanes).toEqual([8]);
});

it("a path that loses packets gets bbr, once, and no more lanes than help", () => {
  const { told, paced, lanes } = after({ congestion: "auto", roundTripMs: 50, losesOneIn: 100 });
  expect(paced).toEqual(["bbr"]);
  expect(lanes).toEqual([8, 16]);
  expect(told[0]).toBe("detail: The path loses packets; bbr paces the lanes from now on.");
});

it("or all lanes at once where the kernel has no bbr, which it says only to who asks for more", () => {
  const refusal = "not permitted (EPERM)";
  const way = { congestion: "auto", roundTripMs: 50, losesOneIn: 100, refusal } as const;
  const { told, paced, lanes } = after(way);
  expect(paced).toEqual(["bbr"]);
  expect(lanes).toEqual([8, 32]);
  expect(told).toEqual([
    "detail: The path loses packets, and the kernel does not pace connections by bbr (not permitted (EPERM)).",
    ALL,
  ]);
});

it("what was asked for holds from the start, and is not changed", () => {
  const cubic = after({ congestion: "cubic", roundTripMs: 50, losesOneIn: 100 });
  expect(cubic).toMatchObject({ paced: ["cubic"], lanes: [8, 32], told: [ALL] });
  const bbr = after({ congestion: "bbr", roundTripMs: 50, losesOneIn: 100 });
  expect(bbr).toMatchObject({ paced: ["bbr"], lanes: [8, 16] });
});

it("somebody who asked for what the kernel does not have is told, and gets all lanes", () => {
  const refusal = "no such file or directory (ENOENT)";
  const bbr = after({ congestion: "bbr", roundTripMs: 50, losesOneIn: 100, refusal });
  expect(bbr.lanes).toEqual([8, 32]);
  expect(bbr.told[0]).toMatch(
    /^notice: The kernel does not pace connections by bbr \(no such.*\(ENOENT\)\);/,
  );
});
