import { isUtf8 } from "node:buffer";
import { realpathSync } from "node:fs";
import path from "node:path";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";

/** A volume as typed, made absolute; a trailing slash means nothing. Throws (2) what cannot be handed on as it is. */
export function volumeArgument(typed: string | undefined, placeholder: string): string {
  if (typed === undefined || typed === "" || typed.includes("\0")) {
    throw new PvferryError({
      code: 2,
      message: `${placeholder} is empty.`,
      next: `Name the folder where the volume is mounted as ${placeholder}.`,
    });
  }
  const absolute = path.resolve(typed);
  if (absolute.includes(NOT_UTF8)) throw notUtf8(placeholder, absolute);
  return absolute;
}

/**
 * A folder's real path, for who has to compare folders. Throws (2) when a link hides that it is not UTF-8, and what the
 * system call throws.
 */
export function realFolder(folder: string, placeholder: string): string {
  const real = realpathSync.native(folder, "buffer");
  if (!isUtf8(real)) throw notUtf8(placeholder, folder);
  return real.toString("utf8");
}

/** What Node puts in the place of bytes that are not UTF-8, in arguments as well as in the working directory. */
const NOT_UTF8 = "\uFFFD";

/** Refused rather than guessed: with the bytes gone, the name might even be that of another folder. */
function notUtf8(placeholder: string, folder: string): PvferryError {
  return new PvferryError({
    code: 2,
    message: `${placeholder}: the path ${escapeText(folder)} is not UTF-8, or holds U+FFFD, which stands for such bytes.`,
    next: "Names inside of a volume may be any bytes, its own path may not: bind-mount it at another path (mount --bind) and name that.",
  });
}
