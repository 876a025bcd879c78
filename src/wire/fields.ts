/** Kinds of fields that several control messages share, with their bounds. docs/protocol.md, "Fields". */

import { z } from "zod";

// Compiling a parser for each message costs more than the few messages of a session save (20 ms at the start).
z.config({ jitless: true });

const U64_MOST = 2n ** 64n - 1n;

/**
 * A 64-bit integer travels as a decimal string. Here it is a number: sizes and counts stay far below 2^53, and where a
 * file system answers more (some report 8 EiB free), the nearest number says the same.
 */
export const u64 = z.codec(
  z.string().regex(/^(?:0|[1-9][0-9]{0,19})$/, "must be a decimal integer"),
  z.number().nonnegative(),
  {
    decode: (text, context) => {
      if (BigInt(text) <= U64_MOST) return Number(text);
      context.issues.push({ code: "custom", input: text, message: "must fit in 64 bits" });
      return z.NEVER;
    },
    encode: (number) => decimalText(number),
  },
);

function decimalText(number: number): string {
  const whole = BigInt(Math.trunc(number));
  return String(whole > U64_MOST ? U64_MOST : whole);
}

export const u32 = z.int().min(0).max(0xffff_ffff);

/** Text without a name's freedom: versions, kinds, file systems. */
export const word = z.string().max(128);

/** A sentence for people; it is escaped before it is printed. */
export const sentence = z.string().max(4096);

/** 32 lower-case hexadecimal digits, chosen at random by the source. */
export const sessionId = z.string().regex(/^[0-9a-f]{32}$/, "must be 32 hexadecimal digits");

/** 64 lower-case hexadecimal digits. */
export const blake3 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hexadecimal digits");

/** base64 of exactly 32 bytes. */
export const secret = z.string().regex(/^[A-Za-z0-9+/]{43}=$/, "must be base64 of 32 bytes");

export const timestamp = z.iso.datetime();

export const count = z.int().nonnegative();
