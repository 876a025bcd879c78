/** A long path as a wire, which its contenders are lent one after the other. */
import { LONG_PATH_DEVICE, type LongPath } from "../../test/bed/network/long-path.ts";
import { counters, enter, type Wire } from "../wire.ts";

export function lentWire({ source, target }: LongPath): Wire {
  return {
    source: enter(source),
    target: enter(target),
    bytes: () => {
      const { rx, tx } = counters(source, LONG_PATH_DEVICE);
      return rx.bytes + tx.bytes;
    },
    [Symbol.dispose]: () => undefined,
  };
}
