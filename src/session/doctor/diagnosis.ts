/** A path to a target, examined step by step from near to far; the first step that fails is the diagnosis. */

import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

import { LIMITS } from "../../config/limits.ts";
import { hostPortText } from "../../config/value-kinds.ts";
import { toError, toPvferryError, type PvferryError } from "../../core/errors.ts";
import type { ExitCode } from "../../core/exit-codes.ts";
import { bytesText, durationText } from "../../core/units.ts";
import type { Addon } from "../../native/types.ts";
import { dialError } from "../../net/dial-error.ts";
import type { Connected, DialLimits, Path } from "../../net/path.ts";
import { openConnection } from "../open-connection.ts";
import type { TlsMaterial } from "../run-options.ts";
import { DoctorLine } from "./line.ts";
import { goodput, LANE_COUNTS, probeFullPackets, roundTripMs } from "./measurements.ts";

/** One line of what is printed. */
export interface DiagnosisStep {
  readonly name: string;
  readonly verdict: "ok" | "warning" | "failed";
  readonly milliseconds: number;
  readonly text: string;
}

export interface Measurements {
  readonly agent: string;
  readonly roundTripMs: number;
  /** The other side's clock minus this one's; exact to half a round trip. */
  readonly clockDifferenceMs: number;
  /** Bytes per second that arrived. */
  readonly goodput: readonly { readonly lanes: number; readonly bytesPerSecond: number }[];
}

export interface Diagnosis {
  readonly code: ExitCode;
  readonly path: string;
  readonly message: string;
  readonly next: string;
  readonly steps: readonly DiagnosisStep[];
  /** null when the other side was not reached. */
  readonly measurements: Measurements | null;
}

export interface DiagnosisRun {
  readonly path: Path;
  readonly tls: TlsMaterial;
  /** For each number of lanes; 0 measures no goodput. */
  readonly measureMs: number;
}

export interface DiagnosisParts {
  readonly addon: Addon;
  readonly agent: string;
  readonly observe: (step: DiagnosisStep) => void;
  readonly signal: AbortSignal;
}

/** More than this between two clocks, and certificates and times in logs begin to mislead. */
const CLOCK_WARNING_MS = 60_000;

/** Rejects only with the signal's reason. */
export async function diagnose(run: DiagnosisRun, parts: DiagnosisParts): Promise<Diagnosis> {
  const examination = new Examination(run, parts);
  try {
    await examination.walk();
    return examination.conclude(null);
  } catch (thrown) {
    parts.signal.throwIfAborted();
    return examination.conclude(toPvferryError(thrown));
  } finally {
    examination.close();
  }
}

class Examination {
  readonly #run: DiagnosisRun;
  readonly #parts: DiagnosisParts;
  readonly #steps: DiagnosisStep[] = [];
  readonly #lines: DoctorLine[] = [];
  #measurements: Measurements | null = null;

  constructor(run: DiagnosisRun, parts: DiagnosisParts) {
    this.#run = run;
    this.#parts = parts;
  }

  async walk(): Promise<void> {
    await this.#resolveNames();
    await this.#reachProxies();
    const connected = await this.#reachHosts();
    const line = await this.#take("TLS", async () => {
      const opened = await this.#openLine(0, connected);
      return { result: opened, text: `an agent of this transfer, at ${opened.peer}` };
    });
    await this.#measure(line);
  }

  conclude(error: PvferryError | null): Diagnosis {
    const common = {
      path: this.#run.path.text,
      steps: this.#steps,
      measurements: this.#measurements,
    };
    if (error === null) return { ...common, code: 0, ...soundPath(this.#measurements) };
    return { ...common, code: error.code, message: error.message, next: error.next };
  }

  close(): void {
    for (const line of this.#lines) line.close();
  }

  /** Those that this side looks up itself; what a proxy looks up shows when it is asked. */
  async #resolveNames(): Promise<void> {
    const { endpoint, hops } = this.#run.path;
    const first = hops[0] === undefined ? endpoint.hosts : [hops[0].host];
    for (const host of first.filter((one) => isIP(one) === 0)) {
      await this.#take(`name ${host}`, async () => {
        const addresses = await lookup(host, { all: true }).catch((thrown: unknown) => {
          throw dialError(toError(thrown), { host, port: endpoint.port, timeoutMs: 0 });
        });
        return { result: null, text: addresses.map(({ address }) => address).join(", ") };
      });
    }
  }

  async #reachProxies(): Promise<void> {
    for (const hop of this.#run.path.hops) {
      await this.#take(`connection to ${hop.name}`, async () => {
        (await hop.connect(this.#limits())).destroy();
        return { result: null, text: "accepted" };
      });
    }
  }

  /** One of several nodes may be away; all of them may not. Resolves with the first that is not. */
  async #reachHosts(): Promise<Connected> {
    const { endpoint, hops } = this.#run.path;
    const asks = ["connection", ...hops.slice(-1).map(({ name }) => `by ${name}`)].join(" ");
    let last: unknown = null;
    let first: Connected | null = null;
    for (const [turn, host] of endpoint.hosts.entries()) {
      const name = `${asks} to ${hostPortText({ host, port: endpoint.port })}`;
      const isLastHope: boolean = first === null && turn === endpoint.hosts.length - 1;
      try {
        const connected: Connected = await this.#take(
          name,
          async () => {
            const result = await this.#run.path.connectTo(turn, this.#limits());
            return { result, text: "accepted" };
          },
          isLastHope ? "failed" : "warning",
        );
        if (first === null) first = connected;
        else connected.stream.destroy();
      } catch (error) {
        last = error;
      }
    }
    if (first === null) throw last;
    return first;
  }

  async #openLine(turn: number, connected?: Connected): Promise<DoctorLine> {
    const { path, tls } = this.#run;
    const { addon } = this.#parts;
    const opening = { addon, path, tls, protocol: "doctor", turn, connected } as const;
    const line = new DoctorLine(await openConnection(opening, this.#limits()));
    this.#lines.push(line);
    return line;
  }

  async #measure(line: DoctorLine): Promise<void> {
    const { agent, signal } = this.#parts;
    const asked = Date.now();
    const hello = await this.#take("hello", async () => {
      const result = await line.hello(agent, signal);
      return { result, text: `pvferry ${result.agent}` };
    });
    const clockDifferenceMs = hello.clock - Math.round((asked + Date.now()) / 2);
    const roundTrip = await this.#take("round trip", async () => {
      const result = await roundTripMs(line, signal);
      return { result, text: `${result.toFixed(1)} ms at best` };
    });
    this.#sayClock(clockDifferenceMs);
    await this.#take("full packets", async () => {
      await probeFullPackets(line, signal);
      return { result: null, text: "arrive" };
    });
    const measured = { agent: hello.agent, roundTripMs: roundTrip, clockDifferenceMs };
    this.#measurements = { ...measured, goodput: [] };
    this.#measurements = { ...measured, goodput: await this.#measureGoodput(line) };
  }

  #sayClock(differenceMs: number): void {
    const apart = Math.abs(differenceMs);
    const text = `the other side's is ${durationText(apart)} ${differenceMs < 0 ? "behind" : "ahead"}`;
    const verdict = apart > CLOCK_WARNING_MS ? "warning" : "ok";
    this.#add({ name: "clock", verdict, milliseconds: 0, text });
  }

  async #measureGoodput(first: DoctorLine): Promise<Measurements["goodput"]> {
    const { measureMs } = this.#run;
    const { signal } = this.#parts;
    const measured: { lanes: number; bytesPerSecond: number }[] = [];
    const lines = [first];
    for (const lanes of measureMs === 0 ? [] : LANE_COUNTS) {
      const name = lanes === 1 ? "goodput of 1 lane" : `goodput of ${lanes} lanes`;
      const bytesPerSecond = await this.#take(name, async () => {
        while (lines.length < lanes) lines.push(await this.#openLine(lines.length));
        const result = await goodput(lines, measureMs, signal);
        return { result, text: `${bytesText(result)}/s` };
      });
      measured.push({ lanes, bytesPerSecond: Math.round(bytesPerSecond) });
    }
    return measured;
  }

  #limits(): DialLimits {
    return { timeoutMs: LIMITS.connectAttemptMs, signal: this.#parts.signal };
  }

  async #take<T>(
    name: string,
    work: () => Promise<{ readonly result: T; readonly text: string }>,
    failure: "failed" | "warning" = "failed",
  ): Promise<T> {
    const began = performance.now();
    const since = (): number => Math.round(performance.now() - began);
    try {
      const { result, text } = await work();
      this.#add({ name, verdict: "ok", milliseconds: since(), text });
      return result;
    } catch (thrown) {
      this.#parts.signal.throwIfAborted();
      const { message } = toPvferryError(thrown);
      this.#add({ name, verdict: failure, milliseconds: since(), text: message });
      throw thrown;
    }
  }

  #add(step: DiagnosisStep): void {
    this.#steps.push(step);
    this.#parts.observe(step);
  }
}

function soundPath(measurements: Measurements | null): Pick<Diagnosis, "message" | "next"> {
  const apart = Math.abs(measurements?.clockDifferenceMs ?? 0);
  if (apart <= CLOCK_WARNING_MS) {
    return {
      message: "The path is sound: both agents recognise each other, and data arrives.",
      next: "",
    };
  }
  return {
    message: `The path is sound, but the two sides' clocks are ${durationText(apart)} apart.`,
    next: "Set the clock that is wrong (NTP): certificates are valid by the clock, and logs of both sides cannot be laid side by side.",
  };
}
