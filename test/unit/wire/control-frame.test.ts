import { Buffer } from "node:buffer";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../src/config/limits.ts";
import { PvferryError } from "../../../src/core/errors.ts";
import { ControlFrameDecoder, encodeControlFrame } from "../../../src/wire/control-frame.ts";

function decodeAll(decoder: ControlFrameDecoder, chunks: readonly Uint8Array[]): unknown[] {
  return chunks.flatMap((chunk) => [...decoder.push(chunk)]);
}

/** Cuts at the given fractions of the length. */
function cut(bytes: Uint8Array, fractions: readonly number[]): Uint8Array[] {
  const places = fractions.map((fraction) => Math.floor(fraction * bytes.length));
  const edges = [0, ...places.toSorted((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, index) => bytes.subarray(edges[index], end));
}

function header(length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
}

const fraction = fc.double({ min: 0, max: 1, noNaN: true });

describe("control frames", () => {
  it("come out as they went in, however they are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 }),
        fc.array(fraction, { maxLength: 20 }),
        (messages, fractions) => {
          const stream = Buffer.concat(messages.map((message) => encodeControlFrame(message)));
          const decoder = new ControlFrameDecoder();
          const got = decodeAll(decoder, cut(stream, fractions));
          expect(JSON.stringify(got)).toBe(JSON.stringify(messages));
          expect(decoder.atBoundary).toBe(true);
        },
      ),
    );
  });

  it("are not complete before their last byte", () => {
    const frame = encodeControlFrame({ type: "ping" });
    const decoder = new ControlFrameDecoder();
    expect(decodeAll(decoder, [frame.subarray(0, -1)])).toEqual([]);
    expect(decoder.atBoundary).toBe(false);
    expect(decodeAll(decoder, [frame.subarray(-1)])).toEqual([{ type: "ping" }]);
  });

  it("of the largest size arrive byte by byte in linear time", () => {
    const body = "x".repeat(LIMITS.controlFrameBytes - 2);
    const frame = encodeControlFrame(body);
    const decoder = new ControlFrameDecoder();
    const started = performance.now();
    const got = decodeAll(
      decoder,
      Array.from(frame, (_byte, index) => frame.subarray(index, index + 1)),
    );
    expect(got).toEqual([body]);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it.each([0, LIMITS.controlFrameBytes + 1, 0xffff_ffff])(
    "with an announced length of %d are refused before anything is set aside",
    (length) => {
      const before = process.memoryUsage().arrayBuffers;
      expect(() => decodeAll(new ControlFrameDecoder(), [header(length)])).toThrow(PvferryError);
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    },
  );

  it("show what a wrong program said", () => {
    const request = Buffer.from("GET / HTTP/1.1\r\n");
    expect(() => decodeAll(new ControlFrameDecoder(), [request])).toThrow(/the bytes read "GET "/);
  });

  it.each(["{", "nonsense", "\xff\xfe", '{"a":'])("with the body %j are refused", (text) => {
    const body = Buffer.from(text, "latin1");
    const frame = Buffer.concat([header(body.length), body]);
    const decode = (): unknown => decodeAll(new ControlFrameDecoder(), [frame]);
    expect(decode).toThrow(expect.objectContaining({ code: 23 }));
  });

  it("never throw anything but a protocol error, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          decodeAll(new ControlFrameDecoder(), [noise]);
        } catch (error) {
          expect(error).toMatchObject({ code: 23 });
        }
      }),
    );
  });

  it("larger than allowed are not made", () => {
    expect(() => encodeControlFrame("x".repeat(LIMITS.controlFrameBytes))).toThrow(RangeError);
  });
});
