/** node test/volume/mutate-as.ts ROOT SEED YOUNG_FROM_MS [GROUP...]: for tests that make the changes as another user. */
import process from "node:process";

import { mutate } from "./mutate.ts";

const [root = "", seed = "", youngFrom = "", ...groups] = process.argv.slice(2);
mutate(root, { seed, youngFrom: Number(youngFrom), groups: groups.map(Number) });
