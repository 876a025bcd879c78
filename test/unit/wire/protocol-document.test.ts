/** docs/protocol.md shows one of every control message; what it shows is what the code sends and takes. */

import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { LIMITS } from "../../../src/config/limits.ts";
import { ControlFrameDecoder, encodeControlFrame } from "../../../src/wire/control-frame.ts";
import {
  CONTROL_MESSAGES,
  CONTROL_STAGES,
  controlMessageValue,
  parseControlMessage,
  type ControlMessageType,
  type MessageRule,
} from "../../../src/wire/control-messages.ts";

const document = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const types = Object.keys(CONTROL_MESSAGES) as ControlMessageType[];

const fields = document.slice(document.indexOf("### Fields"), document.indexOf("### Order"));

/** The part of the document under "#### type". */
function section(type: string): string {
  const start = document.indexOf(`#### ${type}\n`);
  const rest = document.slice(start + 5);
  const end = rest.search(/^#{1,4} /m);
  return start < 0 ? "" : rest.slice(0, end < 0 ? rest.length : end);
}

function block(text: string, language: string): string | null {
  return new RegExp(`\`\`\`${language}\n([^\`]*)\n\`\`\``).exec(text)?.[1] ?? null;
}

function stagesText(rule: MessageRule): string {
  const all = CONTROL_STAGES.filter((stage) => stage !== "hello").every((stage) =>
    rule.during.includes(stage),
  );
  return all ? "any after the hello" : rule.during.join(", ");
}

describe("docs/protocol.md", () => {
  it.each(types)("tells who sends %s, and when", (type) => {
    const rule: MessageRule = CONTROL_MESSAGES[type];
    const sender = rule.from === "either" ? "both" : rule.from;
    expect(section(type)).toContain(`From: ${sender}. During: ${stagesText(rule)}.`);
  });

  it.each(types)("shows %s as it is sent and taken", (type) => {
    const json = block(section(type), "json") ?? "";
    const message = parseControlMessage(JSON.parse(json));
    expect(message.type).toBe(type);
    const number = message.type === "refused" ? 0 : message.seq;
    expect(JSON.stringify(controlMessageValue(message, number))).toBe(json);
  });

  it.each(["hello", "refused", "ping"])("shows the bytes of %s", (type) => {
    const json = block(section(type), "json") ?? "";
    const bytes = Buffer.from((block(section(type), "hex") ?? "").replaceAll(/\s/g, ""), "hex");
    expect(Buffer.from(encodeControlFrame(JSON.parse(json)))).toEqual(bytes);
    expect([...new ControlFrameDecoder().push(bytes)]).toEqual([JSON.parse(json)]);
  });

  it("lists the limits of control with the values that the code has", () => {
    const start = document.indexOf("### Limits of control\n");
    const rows = [...document.slice(start).matchAll(/^\| `(\w+)` \| ([\d,]+) \|/gm)];
    const documented = rows.map(([, name = "", value = ""]) => [name, value.replaceAll(",", "")]);
    const limits: Readonly<Record<string, number>> = LIMITS;
    expect(documented).toEqual(documented.map(([name = ""]) => [name, String(limits[name])]));
    const named = document.matchAll(/`(\w+(?:Ms|Most|InVain|maxUn\w+))`/g);
    const listed = documented.map(([name]) => name);
    for (const [, name = ""] of named) expect(listed).toContain(name);
    expect(listed).toEqual(expect.arrayContaining(["maxUnauthenticated", "controlFrameBytes"]));
  });

  it.each([
    ["refused", "message", 4_096],
    ["refused", "next", 4_096],
    ["cancel", "message", 4_096],
    ["hello", "volume", LIMITS.volumeNameBytes],
    ["hello", "agent", 128],
    ["hello", "transfer", 128],
  ])("bounds the text of %s.%s to %i", (type, field, most) => {
    const shown = JSON.parse(block(section(type), "json") ?? "") as Record<string, unknown>;
    const withText = (length: number) => ({ ...shown, [field]: "x".repeat(length) });
    expect(parseControlMessage(withText(most)).type).toBe(type);
    expect(() => parseControlMessage(withText(most + 1))).toThrow("malformed");
    expect(fields).toContain(most.toLocaleString("en-US"));
  });

  it("bounds lists and numbers as stated", () => {
    const shown = (type: string) => JSON.parse(block(section(type), "json") ?? "") as object;
    const takes = (value: object): boolean => {
      try {
        return parseControlMessage(value) !== null;
      } catch {
        return false;
      }
    };
    const hello = (many: number) => ({ ...shown("hello"), features: Array(many).fill("f") });
    expect([takes(hello(64)), takes(hello(65))]).toEqual([true, false]);
    const start = (lanes: number) => ({ ...shown("start"), lanes });
    expect([0, 1, 64, 65].map((lanes) => takes(start(lanes)))).toEqual([false, true, true, false]);
    expect(document).toContain("A version\n  is 1 to 65,535, `lanes` 1 to 64.");
    expect(document).toContain("at most 64 `features` and 256 kinds");
  });

  it("states the limits that the code has", () => {
    const grouped = (value: number): string => value.toLocaleString("en-US");
    expect(document).toContain(`The length is 1 to ${grouped(LIMITS.controlFrameBytes)};`);
    expect(document).toContain(`A peer may send ${LIMITS.controlMessagesBurst} messages at once`);
    expect(document).toContain(`and ${LIMITS.controlMessagesPerSecond} per second`);
    expect(document).toContain(`Every ${LIMITS.keepAliveMs / 1_000} seconds.`);
    expect(document).toContain(`no byte for ${LIMITS.idleTimeoutMs / 1_000} seconds`);
    expect(document).toContain(`for ${LIMITS.verdictKeptMs / 1_000} seconds otherwise`);
  });
});
