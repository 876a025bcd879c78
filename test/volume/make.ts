/** node test/volume/make.ts DIR PROFILE */
import process from "node:process";

import { makeVolume, PROFILES, type Profile } from "./make-volume.ts";

function isProfile(name: string | undefined): name is Profile {
  return name !== undefined && Object.hasOwn(PROFILES, name);
}

const [directory, profile] = process.argv.slice(2);
if (directory === undefined || !isProfile(profile)) {
  const lines = Object.entries(PROFILES).map(([name, what]) => `  ${name.padEnd(12)}${what}`);
  process.stderr.write(`usage: node test/volume/make.ts DIR PROFILE\n${lines.join("\n")}\n`);
  process.exitCode = 2;
} else {
  const started = performance.now();
  process.stderr.write(await makeVolume(directory, profile));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stderr.write(`${directory}: ${profile}, made in ${seconds} s\n`);
}
