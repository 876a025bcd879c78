/**
 * Names of entries are bytes. They travel as `path` when they are UTF-8 and as `pathBytes` (base64) otherwise, and are
 * printed escaped, since a name may hold a terminal's control sequences or turn the reading direction around.
 */

import { Buffer, isUtf8 } from "node:buffer";

import { countText } from "./units.ts";

export interface ByteName {
  readonly path: string | null;
  readonly pathBytes: string | null;
}

export function nameFromBytes(bytes: Uint8Array): ByteName {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer)
    ? { path: buffer.toString("utf8"), pathBytes: null }
    : { path: null, pathBytes: buffer.toString("base64") };
}

export function bytesOfName(name: ByteName): Buffer {
  if (name.path !== null) return Buffer.from(name.path, "utf8");
  if (name.pathBytes !== null) return Buffer.from(name.pathBytes, "base64");
  throw new TypeError("a name needs path or pathBytes");
}

/** A name on one line of a terminal: unambiguous, and harmless. */
export function printableName(name: ByteName): string {
  if (name.path !== null) return escapeText(name.path);
  return escapeBytes(bytesOfName(name));
}

/** Bytes of a name's beginning and of its end that are always shown. */
const END_BYTES = 120;

/** The same for texts that people read: of a very long path the two ends, and how many bytes are not shown. */
export function shortName(name: ByteName): string {
  const bytes = bytesOfName(name);
  const omitted = bytes.length - 2 * END_BYTES;
  // Shorter by less than the note about it would be no gain.
  if (omitted <= END_BYTES) return printableName(name);
  const head = characterStart(bytes, END_BYTES);
  const tail = characterStart(bytes, bytes.length - END_BYTES);
  const note = `...(${countText(tail - head)} bytes left out)...`;
  return `${escapeBytes(bytes.subarray(0, head))}${note}${escapeBytes(bytes.subarray(tail))}`;
}

/** Where the character that byte `at` belongs to begins; bytes that are no UTF-8 are cut anywhere. */
function characterStart(bytes: Buffer, at: number): number {
  let start = at;
  while (at - start < 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

const SHORT_ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x5c, "\\\\"],
  [0x0a, "\\n"],
  [0x0d, "\\r"],
  [0x09, "\\t"],
]);

/**
 * What must not reach a terminal: controls (Cc), invisible format characters such as the bidirectional overrides (Cf),
 * line and paragraph separators (Zl, Zp), halves of surrogate pairs (Cs).
 */
const HARMFUL = /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]$/u;

/** Text of our own or a peer's making that is to stay on one line of a terminal; a backslash is doubled. */
export function escapeText(text: string): string {
  let out = "";
  for (const character of text) out += escapeCharacter(character);
  return out;
}

/** A sentence of a peer's: names in it are escaped already, so that their backslashes stay as they are. */
export function harmlessText(text: string): string {
  let out = "";
  for (const character of text) out += character === "\\" ? character : escapeCharacter(character);
  return out;
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const short = SHORT_ESCAPES.get(code);
  if (short !== undefined) return short;
  if (!HARMFUL.test(character)) return character;
  if (code < 0x80) return escapeByte(code);
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/** `\xNN` always stands for one byte, `\u` for a character. */
function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

function escapeBytes(bytes: Buffer): string {
  let out = "";
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes[at] ?? 0);
    const sequence = bytes.subarray(at, at + length);
    if (sequence.length === length && isUtf8(sequence)) {
      out += escapeText(sequence.toString("utf8"));
      at += length;
    } else {
      out += escapeByte(bytes[at] ?? 0);
      at += 1;
    }
  }
  return out;
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}
