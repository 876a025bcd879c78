/**
 * Framing of the control channel: u32 big-endian length, then that many bytes of JSON. Pure: bytes in, values out.
 * docs/protocol.md, "Control frames".
 */

import { Buffer } from "node:buffer";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";

const HEADER_BYTES = 4;

/** A body grows from this size by doubling: an announced length alone costs a peer's victim nothing. */
const FIRST_ALLOCATION_BYTES = 4096;

export function encodeControlFrame(message: unknown): Uint8Array {
  const body = Buffer.from(JSON.stringify(message), "utf8");
  if (body.length > LIMITS.controlFrameBytes) {
    throw new RangeError(`a control message of ${body.length} bytes is larger than a frame may be`);
  }
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length, 0);
  body.copy(frame, HEADER_BYTES);
  return frame;
}

/**
 * Takes chunks as they come off the connection and yields whole messages, unparsed values of `JSON.parse`. However the
 * bytes are cut, each is copied a bounded number of times. After it threw, the decoder must not be used again.
 */
export class ControlFrameDecoder {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #body: Buffer | null = null;
  #bodyFilled = 0;
  #bodyLength = 0;

  /** True between frames: a clean end of the connection is only clean here. */
  get atBoundary(): boolean {
    return this.#headerFilled === 0;
  }

  *push(chunk: Uint8Array): Generator<unknown, void, undefined> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body === null) at += this.#takeHeader(chunk.subarray(at));
      else at += this.#takeBody(this.#body, chunk.subarray(at));
      if (this.#body !== null && this.#bodyFilled === this.#bodyLength) {
        yield this.#finishFrame(this.#body);
      }
    }
  }

  #takeHeader(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, HEADER_BYTES - this.#headerFilled);
    this.#header.set(taken, this.#headerFilled);
    this.#headerFilled += taken.length;
    if (this.#headerFilled === HEADER_BYTES) this.#beginBody(this.#header.readUInt32BE(0));
    return taken.length;
  }

  #beginBody(length: number): void {
    if (length === 0 || length > LIMITS.controlFrameBytes) throw frameError(this.#header, length);
    this.#bodyLength = length;
    this.#bodyFilled = 0;
    this.#body = Buffer.allocUnsafe(Math.min(length, FIRST_ALLOCATION_BYTES));
  }

  #takeBody(body: Buffer, bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.#bodyLength - this.#bodyFilled);
    const filled = this.#bodyFilled + taken.length;
    const roomy = filled <= body.length ? body : this.#grow(body, filled);
    roomy.set(taken, this.#bodyFilled);
    this.#body = roomy;
    this.#bodyFilled = filled;
    return taken.length;
  }

  #grow(body: Buffer, atLeast: number): Buffer {
    const size = Math.min(this.#bodyLength, Math.max(atLeast, body.length * 2));
    const larger = Buffer.allocUnsafe(size);
    body.copy(larger, 0, 0, this.#bodyFilled);
    return larger;
  }

  #finishFrame(body: Buffer): unknown {
    this.#headerFilled = 0;
    this.#body = null;
    return parseBody(body.subarray(0, this.#bodyLength));
  }
}

/** `fatal` refuses bytes that are not UTF-8 rather than replacing them silently. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseBody(body: Uint8Array): unknown {
  try {
    return JSON.parse(UTF8.decode(body));
  } catch (cause) {
    throw new PvferryError({
      code: 23,
      message: "The peer sent a control frame that is not JSON text.",
      next: "Check that both sides are pvferry agents of the same release.",
      cause,
    });
  }
}

function frameError(header: Buffer, length: number): PvferryError {
  const printable = header.toString("latin1");
  const hint = /^[\x20-\x7e]{4}$/.test(printable) ? ` (the bytes read "${printable}")` : "";
  return new PvferryError({
    code: 23,
    message:
      `The peer announced a control frame of ${length} bytes${hint}; ` +
      `allowed are 1 to ${LIMITS.controlFrameBytes}.`,
    next: "Check that both sides are pvferry agents of the same release.",
  });
}
