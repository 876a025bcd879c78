import path from "node:path";

import { PvferryError } from "../core/errors.ts";

/** A volume as typed, made absolute; a trailing slash means nothing. */
export function volumeArgument(typed: string | undefined, placeholder: string): string {
  if (typed === undefined || typed === "" || typed.includes("\0")) {
    throw new PvferryError({
      code: 2,
      message: `${placeholder} is empty.`,
      next: `Name the folder where the volume is mounted as ${placeholder}.`,
    });
  }
  return path.resolve(typed);
}
