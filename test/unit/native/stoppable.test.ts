import { expect, test } from "vitest";

import { PvferryError } from "../../../src/core/errors.ts";
import { stoppable } from "../../../src/native/stoppable.ts";
import { refusalFrom } from "../../bed/refusal.ts";

/** An addon whose work ends, with "interrupted", a moment after its flag was closed. */
function fakeWork() {
  const ended = Promise.withResolvers<number>();
  const closed = { times: 0 };
  const stop = (): void => {
    closed.times += 1;
  };
  return { addon: { stopFlag: () => ({ close: stop }) }, closed, ended };
}

const INTERRUPTED = new PvferryError({ code: 130, message: "Interrupted.", next: "Run again." });

test("work that is stopped ends with the reason, and not before it has really ended", async () => {
  const { addon, closed, ended } = fakeWork();
  const controller = new AbortController();
  let settled = false;
  const refused = refusalFrom(stoppable(addon, controller.signal, () => ended.promise)).finally(
    () => {
      settled = true;
    },
  );
  controller.abort(INTERRUPTED);
  expect(closed.times).toBe(1);
  await Promise.resolve();
  expect(settled).toBe(false);
  ended.reject(new Error("The work was stopped."));
  expect(await refused).toBe(INTERRUPTED);
});

test("work that ends by itself is told as it ended", async () => {
  const { addon, closed, ended } = fakeWork();
  const controller = new AbortController();
  ended.resolve(7);
  expect(await stoppable(addon, controller.signal, () => ended.promise)).toBe(7);
  controller.abort(INTERRUPTED);
  expect(closed.times).toBe(0);
});

test("work is not begun when the signal has come already", async () => {
  const { addon } = fakeWork();
  const begin = (): never => {
    throw new Error("begun all the same");
  };
  const refused = await refusalFrom(stoppable(addon, AbortSignal.abort(INTERRUPTED), begin));
  expect(refused).toBe(INTERRUPTED);
});
