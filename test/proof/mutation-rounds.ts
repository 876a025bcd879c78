/** Rounds of random changes to a source, a pass after each, and the judge after each pass. */
import { execFileSync } from "node:child_process";
import { existsSync, chmodSync, chownSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { expect } from "vitest";

import { receiptOf } from "../agent/receipt.ts";
import { pvferry, type RunOptions } from "../agent/run-pvferry.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

export interface Rounds {
  readonly seed: string;
  readonly rounds: number;
  /** Makes the changes and runs the agents; left out: whoever runs the tests. */
  readonly as?: PlainUser;
}

export interface PlainUser {
  readonly id: number;
  /** Groups besides the one with the user's own number. */
  readonly groups: readonly number[];
}

const MUTATE = fileURLToPath(new URL("../volume/mutate-as.ts", import.meta.url));

export const ROUNDS_NEED = {
  programs: ["rsync", "getfattr", "getfacl", "setfattr", "setfacl", "fallocate", "mkfifo", "perl"],
};

function wrapperOf({ id, groups }: PlainUser): readonly string[] {
  const supplementary = groups.length > 0 ? ["--groups", groups.join(",")] : ["--clear-groups"];
  return ["setpriv", "--reuid", `${id}`, "--regid", `${id}`, ...supplementary];
}

/** Folders in it, which belong to whom they are for. */
function furnish(place: Scratch, user: PlainUser | undefined): void {
  chmodSync(place.path, 0o755);
  for (const name of ["source", "target", "home"]) {
    const folder = place.directory(name);
    if (user !== undefined) chownSync(folder, user.id, user.id);
  }
}

/** Fails with the seed and the round in its words. The last pass is a cutover. */
export async function mutationRounds({ seed, rounds, as }: Rounds): Promise<void> {
  using place = scratch();
  furnish(place, as);
  const [source, target] = [place.at("source"), place.at("target")];
  const wrapper = as === undefined ? [] : wrapperOf(as);
  const options: RunOptions = {
    wrapper,
    environment: { HOME: place.at("home"), XDG_CACHE_HOME: "" },
  };
  const groups = as === undefined ? [] : [as.id, ...as.groups];
  // Nothing is older than the first session, so that a time that was put back is never taken at its word.
  const youngFrom = Date.now();
  for (let round = 1; round <= rounds; round += 1) {
    const drawn = [MUTATE, source, `${seed} ${round}`, `${youngFrom}`, ...groups.map(String)];
    const [command = "", ...args] = [...wrapper, process.execPath, ...drawn];
    execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
    const pass = round === rounds ? "cutover" : "stage";
    const receipt = receiptOf(
      await pvferry(["copy", source, target, "--json", "--pass", pass], options),
    );
    const words = `seed ${seed}, round ${round}: ${receipt.message}`;
    expect(receipt.exitCode, `${words} ${JSON.stringify(receipt.items)}`).toBe(0);
    await expectFaithful(source, target, { excluded: [".pvferry"] });
  }
  expect(existsSync(`${target}/.pvferry`)).toBe(false);
}
