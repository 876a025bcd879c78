import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../src/config/limits.ts";
import { backOffMs } from "../../../src/core/back-off.ts";
import { Returns } from "../../../src/session/returns.ts";

describe("going back for a verdict", () => {
  it("ends when each new connection breaks at once", () => {
    let now = 1_000;
    const returns = new Returns(0, () => now);
    let attempts = 0;
    for (;;) {
      const { pauseMs, timeoutMs } = returns.begin();
      if (timeoutMs === 0) break;
      now += pauseMs + 5;
      attempts += 1;
    }
    expect(now - 1_000).toBeLessThanOrEqual(LIMITS.verdictKeptMs + LIMITS.connectRetryLongestMs);
    expect(attempts).toBeGreaterThan(5);
    expect(attempts).toBeLessThan(60);
  });

  it("begins anew after a connection that lasted", () => {
    let now = 1_000;
    const returns = new Returns(0, () => now);
    returns.begin();
    now += 30 * 60_000;
    expect(returns.begin().timeoutMs).toBeGreaterThan(LIMITS.verdictKeptMs - 1_000);
  });
});

describe("a back-off", () => {
  const backOff = { firstMs: 100, longestMs: 1_000 };

  it("doubles up to its longest, with jitter below", () => {
    const pauses = [1, 2, 3, 4, 5, 60, 2_000].map((failures) =>
      backOffMs(backOff, failures, () => 1),
    );
    expect(pauses).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
    expect(backOffMs(backOff, 2, () => 0)).toBe(100);
  });
});
