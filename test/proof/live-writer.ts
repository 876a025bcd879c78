/** A database that works while its volume is staged, stops, is copied to the end, and starts from the copy. */
import { chmodSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { expect } from "vitest";

import { receiptOf, type Receipt } from "../agent/receipt.ts";
import { pvferry } from "../agent/run-pvferry.ts";
import {
  makeCluster,
  postgres,
  postgresFolder,
  POSTGRES_PROGRAMS,
  type Postgres,
} from "../bed/postgres.ts";
import { scratch } from "../bed/scratch.ts";
import { expectFaithful } from "../judge/expect-faithful.ts";

export interface LiveWriter {
  /** Of pgbench: 100,000 accounts each, 15 MB. */
  readonly scale: number;
  readonly stagePasses: number;
  /** How long it writes between two passes. */
  readonly pauseMs: number;
}

export const LIVE_WRITER_NEEDS = {
  root: true,
  programs: [...POSTGRES_PROGRAMS, "setpriv", "rsync", "getfattr", "getfacl"],
};

const PATIENCE_MS = 600_000;
/** Tables that come and go, and with them their files. */
const CHURN = `
CREATE TABLE churn_:client_id AS SELECT n, repeat('x', 200) AS text FROM generate_series(1, 3000) AS n;
DROP TABLE churn_:client_id;
`;

/** Rows and sums of all tables of pgbench, which agree with one another after whole transactions only. */
const FIGURES = `
SELECT (SELECT count(*) FROM pgbench_accounts), (SELECT sum(abalance) FROM pgbench_accounts),
  (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches),
  (SELECT count(*) FROM pgbench_history), (SELECT sum(delta) FROM pgbench_history)
`;

interface Figures {
  readonly rows: string;
  readonly transactions: number;
}

function figuresOf(database: Postgres): Figures {
  const rows = database.query(FIGURES);
  const [, accounts, tellers, branches, transactions, deltas] = rows.split("|");
  expect([tellers, branches, deltas], rows).toEqual([accounts, accounts, accounts]);
  return { rows, transactions: Number(transactions) };
}

async function copy(from: string, to: string, pass: "stage" | "cutover"): Promise<Receipt> {
  const args = ["copy", from, to, "--json", "--pass", pass];
  const ended = await pvferry(args, { patienceMs: PATIENCE_MS });
  expect(ended.code, ended.stderr).toBe(0);
  return receiptOf(ended);
}

/** Items of all stage passes. */
async function stageBesideLoad(
  database: Postgres,
  place: { readonly from: string; readonly to: string; readonly churn: string },
  { stagePasses, pauseMs }: LiveWriter,
): Promise<number> {
  writeFileSync(place.churn, CHURN);
  const scripts = ["-b", "tpcb-like@20", "-f", `${place.churn}@1`];
  const load = database.load("-n", "-c", "4", "-j", "2", "-T", "3600", ...scripts);
  let changed = 0;
  // A pass over so little is short: it may fall between two writes, and another one need not.
  for (let pass = 1; pass <= (changed > 0 ? stagePasses : 10 * stagePasses); pass += 1) {
    await sleep(pauseMs);
    const receipt = await copy(place.from, place.to, "stage");
    changed += receipt.items.filter((item) => item.class === "changed").length;
    // Dirty pages go to their files, old WAL segments get new names.
    database.query("CHECKPOINT");
  }
  await load.end();
  return changed;
}

export async function surviveLiveWriter(plan: LiveWriter): Promise<void> {
  using place = scratch();
  chmodSync(place.path, 0o755);
  const [from, to] = [postgresFolder(place.at("source")), place.directory("target")];
  makeCluster(`${from}/data`);
  using database = postgres(`${from}/data`);
  database.start();
  database.run("pgbench", "-i", "-q", "-s", `${plan.scale}`);
  const changed = await stageBesideLoad(database, { from, to, churn: place.at("churn.sql") }, plan);
  expect(changed, "nothing changed while it was copied").toBeGreaterThan(0);
  const figures = figuresOf(database);
  expect(figures.transactions).toBeGreaterThan(10);
  database.stop();
  const cutover = await copy(from, to, "cutover");
  expect(cutover).toMatchObject({ items: [], exitCode: 0 });
  await expectFaithful(from, to);
  using copied = postgres(`${to}/data`);
  copied.run("pg_checksums", "--check", "-D", `${to}/data`);
  copied.start();
  expect(figuresOf(copied)).toEqual(figures);
  copied.run("pg_amcheck", "--all", "--install-missing", "--heapallindexed", "--parent-check");
  // It can be worked with as well.
  copied.run("pgbench", "-n", "-c", "2", "-t", "20");
  expect(figuresOf(copied).transactions).toBe(figures.transactions + 40);
  copied.stop();
}
