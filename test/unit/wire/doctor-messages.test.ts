import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { encodeControlFrame } from "../../../src/wire/control-frame.ts";
import {
  DoctorRequestDecoder,
  parseDoctorAnswer,
  type DoctorRequest,
} from "../../../src/wire/doctor-messages.ts";
import { refusalOf } from "../../bed/refusal.ts";

const document = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");
const section = document.slice(document.indexOf("## Doctor\n"), document.indexOf("## Digests\n"));
const rows = [...section.matchAll(/^\|(.*)\|(.*)\|$/gm)].slice(2);
const shown = (cell: string): unknown[] =>
  [...cell.matchAll(/`(\{[^`]*\})`/g)].map(([, json = ""]) => JSON.parse(json) as unknown);
const questions = rows.flatMap(([, question = ""]) => shown(question)) as DoctorRequest[];
const answers = rows.flatMap(([, , answer = ""]) => shown(answer));

const hello: DoctorRequest = { type: "hello", magic: "pvferry", agent: "0.1.0", clock: 1 };
const load = (bytes: number): DoctorRequest => ({ type: "load", bytes });

function bytesOf(requests: readonly DoctorRequest[]): Buffer {
  const parts = requests.flatMap((request) => {
    // Filled with what a frame would begin with, were it taken for one.
    const payload =
      request.type === "load" ? [Buffer.alloc(request.bytes, encodeControlFrame(hello))] : [];
    return [encodeControlFrame(request), ...payload];
  });
  return Buffer.concat(parts);
}

describe("a doctor's messages", () => {
  it("are those of docs/protocol.md", () => {
    expect(questions.map(({ type }) => type)).toEqual(["hello", "ping", "load"]);
    expect([...new DoctorRequestDecoder().push(bytesOf(questions))]).toEqual(questions);
    expect(answers).toHaveLength(3);
    const taken = [...answers, questions[0]];
    expect(taken.map(parseDoctorAnswer)).toEqual(taken);
  });

  it("are told from the bytes of loads, however they are cut", () => {
    const requests = fc.array(
      fc.oneof(
        fc.constant(hello),
        fc.constant<DoctorRequest>({ type: "ping" }),
        fc.integer({ min: 1, max: 3_000 }).map(load),
      ),
      { maxLength: 8 },
    );
    const cuts = fc.array(fc.integer({ min: 1, max: 2_000 }), { maxLength: 40 });
    fc.assert(
      fc.property(requests, cuts, (list, lengths) => {
        const decoder = new DoctorRequestDecoder();
        let rest = bytesOf(list);
        const got: DoctorRequest[] = [];
        for (const length of [...lengths, rest.length + 1]) {
          got.push(...decoder.push(rest.subarray(0, length)));
          rest = rest.subarray(length);
        }
        expect(got).toEqual(list);
      }),
    );
  });

  it.each([
    ["a load without bytes", load(0)],
    ["a load that is too large", load(1_048_577)],
    ["an answer", { type: "pong" }],
    ["another language", { type: "get" }],
    ["no message", 1],
  ])("are not: %s", (_, value) => {
    const refused = refusalOf(() => [
      ...new DoctorRequestDecoder().push(encodeControlFrame(value)),
    ]);
    expect(refused.code).toBe(23);
  });

  it("a frame that is too long is refused before it is stored", () => {
    const refused = refusalOf(() => [
      ...new DoctorRequestDecoder().push(Buffer.from("GET / HTTP/1.1\r\n")),
    ]);
    expect(refused.message).toContain("GET ");
  });
});
