/**
 * The messages of the control channel: one declared table says what each looks like, who may send it and in which stage
 * of the receiver it may arrive. docs/protocol.md, "Control messages", shows one of each.
 */

import { Buffer } from "node:buffer";

import { z } from "zod";

import { LIMITS } from "../config/limits.ts";
import { PvferryError } from "../core/errors.ts";
import { MODES } from "../core/mode.ts";
import { PASS_KINDS, VERIFY_MODES } from "../core/receipt.ts";
import type { Role } from "../core/transfer-id.ts";
import { blake3, count, secret, sentence, sessionId, timestamp, u32, u64, word } from "./fields.ts";
import { sessionResult } from "./session-result.ts";

/** How far a side's session is, as far as the channel is concerned. The sessions' states map onto these. */
export const CONTROL_STAGES = ["hello", "preflight", "start", "copy", "settle", "verdict"] as const;
export type ControlStage = (typeof CONTROL_STAGES)[number];

export interface MessageRule {
  readonly from: Role | "either";
  /** Stages of the receiver. */
  readonly during: readonly ControlStage[];
  /** At most once on a connection. */
  readonly once: boolean;
  readonly schema: z.ZodType;
}

const BEFORE_COPY = ["hello", "preflight", "start"] as const;
const AFTER_HELLO = ["preflight", "start", "copy", "settle", "verdict"] as const;
const WHILE_COPYING = ["copy", "settle"] as const;

/** Filter rules, lines of a gitignore file. */
const rules = z
  .array(z.string().min(1))
  .max(LIMITS.rulesMost)
  .refine((lines) => Buffer.byteLength(lines.join("")) <= LIMITS.rulesBytes, "too long together")
  .readonly();

const seq = u32;
/** How many it has taken so far, as far as the sender knows, this one included. */
const sessions = z.int().min(1).max(0xffff_ffff);
const totals = z.strictObject({
  entries: u64,
  files: u64,
  directories: u64,
  bytes: u64,
  allocatedBytes: u64,
});
const facts = z.strictObject({
  filesystem: word,
  readOnly: z.boolean(),
  totalBytes: u64,
  freeBytes: u64,
  usedBytes: u64,
  totalInodes: u64,
  freeInodes: u64,
  isMountPoint: z.boolean(),
  uid: u32,
  gid: u32,
  capabilities: z.string().max(4096),
});

/** A version range, both ends included. */
export const versionRange = z.object({
  min: z.int().min(1).max(65_535),
  max: z.int().min(1).max(65_535),
});

/** Unknown fields are dropped here, and only here: this is where later releases say what else they can do. */
const hello = z.object({
  type: z.literal("hello"),
  seq,
  magic: z.literal("pvferry"),
  versions: versionRange,
  features: z.array(word).max(64).readonly(),
  transfer: word,
  volume: z.string().min(1).max(LIMITS.volumeNameBytes),
  agent: word,
  session: sessionId,
  /** Grows from one session of a transfer to the next: a newer source takes over from an older one. */
  epoch: u64,
  /** "verdict": the session is settled, its connection was lost, and only its end is still to be told. */
  wants: z.enum([...MODES, "verdict"]),
});

/** The only message without a number: the native listener says it too, before anybody counts. */
const refused = z.strictObject({
  type: z.literal("refused"),
  code: count,
  message: sentence,
  next: sentence,
});

const empty = <T extends string>(type: T) => z.strictObject({ type: z.literal(type), seq });

export const CONTROL_MESSAGES = {
  hello: { from: "either", during: ["hello"], once: true, schema: hello },
  refused: { from: "either", during: BEFORE_COPY, once: true, schema: refused },
  ping: { from: "either", during: AFTER_HELLO, once: false, schema: empty("ping") },
  pong: { from: "either", during: AFTER_HELLO, once: false, schema: empty("pong") },
  preflight: {
    from: "either",
    during: ["preflight"],
    once: true,
    schema: z.strictObject({
      type: z.literal("preflight"),
      seq,
      facts,
      /** Exact, when the source was asked to scan first; otherwise null. Always null from the target. */
      totals: totals.nullable(),
      /** Rules leave a part of the volume out, so that its facts say little of what is to be copied. */
      filtered: z.boolean(),
    }),
  },
  start: {
    from: "source",
    during: ["start"],
    once: true,
    schema: z.strictObject({
      type: z.literal("start"),
      seq,
      lanes: z.int().min(1).max(LIMITS.lanesMost),
      pass: z.enum(PASS_KINDS),
      verify: z.enum(VERIFY_MODES),
      /** What the source's clock shows. */
      clock: timestamp,
      rules,
    }),
  },
  ready: {
    from: "target",
    during: ["start"],
    once: true,
    schema: z.strictObject({
      type: z.literal("ready"),
      seq,
      secret,
      lanes: z.int().min(1).max(LIMITS.lanesMost),
      compare: z.boolean(),
    }),
  },
  scanned: {
    from: "source",
    during: WHILE_COPYING,
    once: false,
    schema: z.strictObject({
      type: z.literal("scanned"),
      seq,
      entries: u64,
      bytes: u64,
      allocatedBytes: u64,
      done: z.boolean(),
    }),
  },
  closing: { from: "source", during: WHILE_COPYING, once: true, schema: empty("closing") },
  progress: {
    from: "target",
    during: WHILE_COPYING,
    once: false,
    schema: z.strictObject({
      type: z.literal("progress"),
      seq,
      entries: u64,
      files: u64,
      bytes: u64,
      freeBytes: u64,
      freeInodes: u64,
    }),
  },
  settled: {
    from: "source",
    during: ["copy", "settle", "verdict"],
    once: true,
    schema: z.strictObject({
      type: z.literal("settled"),
      seq,
      result: sessionResult,
      lanes: z.int().min(1).max(LIMITS.lanesMost),
      lanesLost: u64,
      sessions,
      /** Of the volume, by the source's clock. */
      scan: z.strictObject({ began: timestamp, ended: timestamp }),
    }),
  },
  durable: {
    from: "target",
    during: ["settle"],
    once: true,
    schema: z.strictObject({
      type: z.literal("durable"),
      seq,
      result: sessionResult,
      sessions,
      /** What the receipt's `pass.number` and `previous` are. */
      pass: z.strictObject({
        number: z.int().min(0).max(0xffff_ffff),
        previous: blake3.nullable(),
      }),
      startedAt: timestamp,
      endedAt: timestamp,
    }),
  },
  farewell: { from: "source", during: ["verdict"], once: true, schema: empty("farewell") },
  cancel: {
    from: "either",
    during: AFTER_HELLO,
    once: true,
    schema: z.strictObject({ type: z.literal("cancel"), seq, code: count, message: sentence }),
  },
} as const satisfies Readonly<Record<string, MessageRule>>;

export type ControlMessageType = keyof typeof CONTROL_MESSAGES;
type Schemas = { readonly [T in ControlMessageType]: (typeof CONTROL_MESSAGES)[T]["schema"] };

/** A received message of type T. */
export type MessageOf<T extends ControlMessageType> = {
  readonly [K in T]: z.output<Schemas[K]>;
}[T];
export type ControlMessage = MessageOf<ControlMessageType>;
/** A message to be sent: the channel numbers it. */
export type OutgoingMessage = {
  readonly [K in ControlMessageType]: Omit<z.output<Schemas[K]>, "seq">;
}[ControlMessageType];

const envelope = z.looseObject({ type: z.string().max(64) });

/** Shape only; order, sender and stage are the channel's to judge, by the same table. */
export function parseControlMessage(value: unknown): ControlMessage {
  const opened = envelope.safeParse(value);
  if (!opened.success) throw malformed("message", opened.error);
  const { type } = opened.data;
  if (!isMessageType(type)) throw unknownType(type);
  const parsed = CONTROL_MESSAGES[type].schema.safeParse(value);
  if (!parsed.success) throw malformed(`"${type}" message`, parsed.error);
  return parsed.data;
}

/** The JSON value that goes into a frame. Throws when the message breaks the schema: a defect of this side. */
export function controlMessageValue(message: OutgoingMessage, number: number): unknown {
  const schema: z.ZodType = CONTROL_MESSAGES[message.type].schema;
  return schema.encode(message.type === "refused" ? message : { ...message, seq: number });
}

function isMessageType(type: string): type is ControlMessageType {
  return Object.hasOwn(CONTROL_MESSAGES, type);
}

const NEXT = "Check that both sides are pvferry agents of the same release.";

function malformed(what: string, error: z.ZodError): PvferryError {
  const issue = error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
  return new PvferryError({
    code: 23,
    message: `The peer sent a malformed ${what}${where}: ${issue?.message ?? "wrong shape"}.`,
    next: NEXT,
    cause: error,
  });
}

function unknownType(type: string): PvferryError {
  return new PvferryError({
    code: 23,
    message: `The peer sent a control message of the unknown type ${JSON.stringify(type)}.`,
    next: NEXT,
  });
}
