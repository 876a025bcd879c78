/** The error that something ends with, for looking at its parts. */
import { PvferryError } from "../../src/core/errors.ts";

export function refusalOf(act: () => unknown): PvferryError {
  try {
    act();
  } catch (error) {
    if (error instanceof PvferryError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

export async function refusalFrom(running: Promise<unknown>): Promise<PvferryError> {
  try {
    await running;
  } catch (error) {
    if (error instanceof PvferryError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
