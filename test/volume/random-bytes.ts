/** Bytes and numbers that look random and are the same for the same seed, at gigabytes per second (AES-CTR). */
import { createCipheriv, createHash } from "node:crypto";
import type { Cipheriv } from "node:crypto";

const NUMBERS_AT_ONCE = 1024;

export interface RandomBytes {
  /** A fresh buffer of the next `length` bytes. */
  readonly bytes: (length: number) => Buffer;
  /** The next number in [0, 1). */
  readonly number: () => number;
  /** The next whole number in [0, below). */
  readonly below: (limit: number) => number;
  /** The next number with this median, log-normally distributed. */
  readonly logNormal: (median: number, sigma: number) => number;
}

function cipherOf(seed: string): Cipheriv {
  const key = createHash("sha256").update(seed).digest().subarray(0, 16);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
}

/** Numbers come from a stream of their own, so that drawing one does not move the bytes. */
export function randomBytes(seed: string): RandomBytes {
  const forBytes = cipherOf(`bytes ${seed}`);
  const forNumbers = cipherOf(`numbers ${seed}`);
  let drawn = Buffer.alloc(0);
  let at = 0;
  const number = (): number => {
    if (at === drawn.length) {
      drawn = forNumbers.update(Buffer.alloc(4 * NUMBERS_AT_ONCE));
      at = 0;
    }
    at += 4;
    return drawn.readUInt32LE(at - 4) / 0x1_0000_0000;
  };
  return {
    bytes: (length) => forBytes.update(Buffer.alloc(length)),
    number,
    below: (limit) => Math.floor(number() * limit),
    logNormal: (median, sigma) => {
      const normal = Math.sqrt(-2 * Math.log(1 - number())) * Math.cos(2 * Math.PI * number());
      return median * Math.exp(sigma * normal);
    },
  };
}
