/** A PostgreSQL whose data directory is given, reached by a socket of its own; its programs run as its user. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

import { programPath } from "./program-folders.ts";

export const POSTGRES_PROGRAMS = [
  "initdb",
  "pg_ctl",
  "pgbench",
  "psql",
  "pg_amcheck",
  "pg_checksums",
];

/** The package makes a user of this name. */
const USER = "postgres";
const DATABASE = "postgres";

export interface Postgres extends Disposable {
  readonly start: () => void;
  /** Returns when all is on disk and no process is left. */
  readonly stop: () => void;
  /** One of its programs, connected to the running server unless it wants none; what it prints. */
  readonly run: (program: string, ...args: readonly string[]) => string;
  /** What a query returns, a row a line. */
  readonly query: (sql: string) => string;
  /** pgbench until it is ended; rejects when it ends before that. */
  readonly load: (...args: readonly string[]) => Load;
}

export interface Load {
  readonly end: () => Promise<void>;
}

function idOf(flag: "-u" | "-g"): number {
  return Number(execFileSync("id", [flag, USER], { encoding: "utf8" }));
}

/** Put before a command. */
const AS_USER = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups", "--"];

/** A folder that the server's user may write to. */
export function postgresFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  chownSync(path, idOf("-u"), idOf("-g"));
  return path;
}

function commandOf(program: string, args: readonly string[]): readonly [string, string[]] {
  const path = programPath(program);
  if (path === null) throw new Error(`${program} is not installed`);
  const [command = "", ...rest] = [...AS_USER, path, ...args];
  return [command, rest];
}

/** Makes a data directory with checksums on every page. */
export function makeCluster(data: string): void {
  const how = ["--auth=trust", "--data-checksums", "--no-sync", "--encoding=UTF8", "--locale=C"];
  execFileSync(...commandOf("initdb", ["-D", data, ...how]), {
    stdio: ["ignore", "ignore", "pipe"],
  });
}

function loadOf(child: ChildProcess): Load {
  let words = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (words += text));
  return {
    end: async () => {
      if (child.exitCode !== null) throw new Error(`pgbench has ended by itself: ${words}`);
      child.kill("SIGINT");
      await once(child, "close");
    },
  };
}

/** Nothing is started yet. Disposing stops the server at once, if it runs. */
export function postgres(data: string): Postgres {
  // Short, because a socket's path may have 107 bytes.
  const socket = postgresFolder(mkdtempSync(join(tmpdir(), "pvferry-pg-")));
  const environment = {
    PATH: process.env["PATH"],
    LC_ALL: "C",
    PGHOST: socket,
    PGDATABASE: DATABASE,
  };
  const options = { cwd: socket, env: environment };
  const run = (program: string, ...args: readonly string[]): string =>
    execFileSync(...commandOf(program, args), {
      ...options,
      stdio: ["ignore", "pipe", "pipe"],
      encoding: "utf8",
    });
  const control = (...args: readonly string[]): string => run("pg_ctl", "-D", data, "-w", ...args);
  const settings = `-c listen_addresses= -c unix_socket_directories=${socket} -c max_wal_size=64MB -c min_wal_size=32MB`;
  let runs = false;
  return {
    start: () => {
      control("start", "-l", join(socket, "log"), "-o", settings);
      runs = true;
    },
    stop: () => {
      control("stop", "-m", "fast");
      runs = false;
    },
    run,
    query: (sql) => run("psql", "-XAtc", sql).trim(),
    load: (...args) => {
      const child = spawn(...commandOf("pgbench", args), {
        ...options,
        stdio: ["ignore", "ignore", "pipe"],
      });
      return loadOf(child);
    },
    [Symbol.dispose]: () => {
      if (runs) control("stop", "-m", "immediate");
      rmSync(socket, { recursive: true, force: true });
    },
  };
}
