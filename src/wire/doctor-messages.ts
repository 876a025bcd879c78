/**
 * The messages of pvferry-doctor/1: frames like those of the control channel, and after a "load" as many bytes as it
 * announces, which mean nothing. docs/protocol.md, "Doctor", shows one of each.
 */

import { z } from "zod";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import { ControlFrameDecoder } from "./control-frame.ts";
import { sentence, word } from "./fields.ts";

const bytes = z.int().min(1).max(LIMITS.doctorLoadBytes);
const hello = {
  type: z.literal("hello"),
  magic: z.literal("pvferry"),
  agent: word,
  /** Milliseconds since 1970, by the sender's clock. */
  clock: z.int().nonnegative(),
};

/** Of the dialler. */
const REQUESTS = z.discriminatedUnion("type", [
  z.object(hello),
  z.object({ type: z.literal("ping") }),
  z.object({ type: z.literal("load"), bytes }),
]);
export type DoctorRequest = z.infer<typeof REQUESTS>;

/** Of the listener; each answers one request, in their order, but for "refused", which is the last word. */
const ANSWERS = z.discriminatedUnion("type", [
  z.object(hello),
  z.object({ type: z.literal("pong") }),
  z.object({ type: z.literal("loaded"), bytes }),
  z.object({
    type: z.literal("refused"),
    code: z.int().min(0).max(255),
    message: sentence,
    next: sentence,
  }),
]);
export type DoctorAnswer = z.infer<typeof ANSWERS>;

/** Throws (23), as the next one does. */
function parseDoctorRequest(value: unknown): DoctorRequest {
  return parsed(REQUESTS, value);
}

export function parseDoctorAnswer(value: unknown): DoctorAnswer {
  return parsed(ANSWERS, value);
}

function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new PvferryError({
    code: 23,
    message: "The peer sent something that is no message of a doctor's.",
    next: "Check that both sides are pvferry agents of the same release.",
    cause: result.error,
  });
}

/** Tells a listener's requests from the bytes of loads between them. */
export class DoctorRequestDecoder {
  readonly #frames = new ControlFrameDecoder();
  /** What is on its way, and how many bytes of it have not come yet. */
  #load: DoctorRequest | null = null;
  #left = 0;

  /** Requests as they come; a load when all of its bytes have. Throws (23); the decoder must not be used after that. */
  *push(chunk: Uint8Array): Generator<DoctorRequest, void, undefined> {
    for (let at = 0; at < chunk.length;) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        at += taken;
        this.#left -= taken;
        if (this.#left === 0 && this.#load !== null) yield this.#load;
      } else {
        // Byte by byte, because a load's bytes begin where its frame ends; frames are short.
        yield* this.#step(chunk.subarray(at, at + 1));
        at += 1;
      }
    }
  }

  *#step(byte: Uint8Array): Generator<DoctorRequest, void, undefined> {
    for (const value of this.#frames.push(byte)) {
      const request = parseDoctorRequest(value);
      if (request.type === "load") {
        this.#load = request;
        this.#left = request.bytes;
      } else {
        yield request;
      }
    }
  }
}
