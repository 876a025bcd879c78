/** The steps of the target's session. target.ts says in which order; states.ts says what may follow what. */

import { randomBytes } from "node:crypto";

import { LIMITS } from "../config/limits.ts";
import { PvferryError, toPvferryError } from "../core/errors.ts";
import type { FinishedEnd } from "../core/finished-end.ts";
import { isLook, type Mode } from "../core/mode.ts";
import type { Receipt } from "../core/receipt.ts";
import { waitFor, type Wait } from "../core/waiting.ts";
import type { PassRecord } from "../native/journal-types.ts";
import type { SessionResult } from "../native/types.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import type { ControlChannel } from "./control-channel.ts";
import type { Counters } from "./counters.ts";
import { Door, servedAlready, type Guest } from "./door.ts";
import { FinishedCopy } from "./finished-copy.ts";
import { withHowFar } from "./how-far.ts";
import { noDeadline, notOnDisk, tooLate } from "./late.ts";
import { makeReceipt } from "./make-receipt.ts";
import { nextPlace, NO_PLACE, passRecord } from "./pass-chain.ts";
import { reasonFromPeer } from "./peer-reason.ts";
import { hasMoved, Recovery } from "./recovery.ts";
import type { SessionContext, TargetRun } from "./run-options.ts";
import { SourceLink } from "./source-link.ts";
import { StateMachine } from "./state-machine.ts";
import { TARGET_STATES, type TargetState } from "./states.ts";
import {
  agreeWithSource,
  chooseComparison,
  transferRecord,
  type Onto,
} from "./target-agreement.ts";
import { TargetCopy } from "./target-copy.ts";
import { isFinished } from "./verdict.ts";
import { checkTargetVolume } from "./volume-checks.ts";

type Settled = MessageOf<"settled">;
type Durable = Extract<OutgoingMessage, { type: "durable" }>;

/** Everything is on disk: what the source is told, and the receipt that both come to have. */
export interface End {
  readonly durable: Durable;
  readonly receipt: Receipt;
  /** What the journal is to know; null of a session that only looks. */
  readonly pass: PassRecord | null;
  /** No other pass is to follow. */
  readonly finishes: boolean;
}

/** A source that was let in, agreed with, and asked to start. */
export interface Admitted extends Guest {
  readonly start: MessageOf<"start">;
  readonly onto: Onto;
  readonly startedAt: string;
}

export class TargetSteps {
  readonly door: Door;
  readonly #run: TargetRun;
  readonly #context: SessionContext;
  readonly #states: StateMachine<TargetState>;
  readonly #recovery: Recovery;
  /** A native session has been opened, and the volume has a journal of its own. */
  #hasJournal = false;
  /** Until a session begins to write, or nobody came to. */
  #finished: FinishedCopy | null = null;
  /** Sessions that came to copy something. */
  #copies = 0;
  /** How far the last of those was that have ended. */
  #far: Counters | null = null;
  /** The user's signal, and that of a newer session. */
  #signal: AbortSignal;
  #channel: ControlChannel | null = null;
  #link: SourceLink | null = null;
  #copy: TargetCopy | null = null;

  constructor(run: TargetRun, context: SessionContext) {
    this.#run = run;
    this.#context = context;
    this.#signal = context.signal;
    this.#recovery = new Recovery(run.reconnectTimeoutMs);
    this.door = new Door(context, run);
    this.#states = new StateMachine(TARGET_STATES, "listening", (phase) =>
      context.observe({ type: "phase", phase }),
    );
  }

  /** Before anybody is kept waiting for a volume that cannot be used. */
  checkVolume(): void {
    this.#context.signal.throwIfAborted();
    checkTargetVolume(this.#context.parts.addon, this.#run, transferRecord(this.#run), null);
  }

  /** Whether an earlier target has left nothing to do but to remove pvferry's folder. */
  async findFinished(): Promise<void> {
    const { parts, observe, signal } = this.#context;
    const found = FinishedCopy.find(parts.addon, this.#run);
    this.#finished = await waitFor(found, this.#untilOnDisk(signal));
    if (this.#finished === null) return;
    observe({ type: "notice", message: this.#finished.waitingText() });
  }

  /**
   * Nothing is written here yet, so that a source that is lost may simply call again. null when none came, and none is
   * needed: the copy was finished before.
   */
  async admit(): Promise<Admitted | null> {
    for (;;) {
      this.#context.observe({ type: "waiting", for: "the source" });
      const guest = await (this.#finished?.admit(this.door) ?? this.door.admit(this.#patience()));
      if (guest === null) return null;
      const startedAt = new Date().toISOString();
      this.#attach(guest.channel);
      this.#signal = AbortSignal.any([this.#context.signal, guest.superseded]);
      try {
        return { ...guest, startedAt, ...(await this.#agree(guest)) };
      } catch (error) {
        await this.#listenAgain(guest, toPvferryError(error));
      }
    }
  }

  beginCopy({ channel, hello, listener, start, onto }: Admitted): void {
    this.#copies += 1;
    this.#context.observe({ type: "session", number: this.#copies });
    const { lanes: wanted, verify, rules } = start;
    const secret = randomBytes(32).toString("base64");
    const { volume, checkpointMs, maxDelete, allowEmptySource, inplace, lanesMost } = this.#run;
    const lanes = Math.min(wanted, lanesMost);
    const transfer = transferRecord(this.#run);
    const copy = new TargetCopy(this.#context, {
      mode: modeOf(hello),
      volume,
      transfer,
      ...onto,
      discardJournal: this.#terms.discardJournal,
      checkpointMs,
      lanes,
      secret,
      maxDelete,
      allowEmptySource,
      inplace,
      rules,
      verify,
      listener,
    });
    this.#copy = copy;
    if (!isLook(modeOf(hello))) {
      this.#hasJournal = true;
      // The journal says so now: a session has begun.
      this.#finished = null;
    }
    this.#states.enter("copying");
    const link = this.#openLink(channel, copy);
    this.door.expectReturn(hello.session, (returned) => {
      this.#attach(returned);
      link.take(returned);
    });
    link.post({ type: "ready", secret, lanes, compare: copy.compares });
    copy.report((message) => link.post(message));
  }

  /** Until everything is written. */
  async settle(): Promise<SessionResult> {
    const copy = this.#opened(this.#copy);
    const link = this.#opened(this.#link);
    try {
      const result = await waitFor(copy.settled, this.#whileLinked(null));
      this.#states.enter("settled");
      link.allowReturn();
      copy.finishReport();
      return result;
    } catch (error) {
      throw await reasonFromPeer(toPvferryError(error), link.broken);
    }
  }

  async hearSource(): Promise<Settled> {
    const link = this.#opened(this.#link);
    return waitFor(link.settled, this.#whileLinked(LIMITS.settleTimeoutMs, "the source's result"));
  }

  /**
   * That the copy is finished is recorded before anybody hears of it: the folder may outlive this process. A newer session
   * waits until everything is on disk, since nothing stops a flush.
   */
  async makeDurable(guest: Admitted, source: Settled, written: SessionResult): Promise<End> {
    this.#states.enter("durable");
    guest.keepPlace();
    const { startedAt, start } = guest;
    const { addon } = this.#context.parts;
    const copy = this.#opened(this.#copy);
    const { broken } = this.#opened(this.#link);
    const wait = this.#untilOnDisk(AbortSignal.any([this.#context.signal, broken]));
    await waitFor(copy.makeDurable(), wait);
    const looks = isLook(modeOf(guest.hello));
    const durable: Durable = {
      type: "durable",
      result: written,
      sessions: Math.max(this.#copies, source.sessions),
      pass: looks ? NO_PLACE : await waitFor(nextPlace(addon, this.#run.volume), wait),
      startedAt,
      endedAt: new Date().toISOString(),
    };
    const receipt = this.#receipt(guest, source, durable);
    const pass = looks ? null : passRecord(addon, receipt, source.scan);
    const finishes = pass !== null && isFinished(start.pass, receipt);
    if (finishes) await waitFor(copy.recordPass(pass), wait);
    return { durable, receipt, pass, finishes };
  }

  /**
   * Until the source says that it heard, or time is up: then nobody is let in any more. Throws when a newer session has
   * come instead: this one's source is gone, and the newer one makes the pass once more.
   */
  async keepVerdict({ superseded }: Guest, durable: Durable): Promise<void> {
    this.#states.enter("keeping");
    const link = this.#opened(this.#link);
    if (!superseded.aborted) link.tell(durable);
    const wait = this.#whileLinked(LIMITS.verdictKeptMs, "farewell");
    await waitFor(link.farewell, wait).catch(() => undefined);
    if (!this.#context.signal.aborted) superseded.throwIfAborted();
    this.door.close(servedAlready(this.#run.volume));
  }

  /** The journal learns that the pass is over; when none is to follow, pvferry's folder goes. Not to be interrupted. */
  async conclude({ pass, finishes }: End): Promise<void> {
    this.#states.enter("concluding");
    const copy = this.#opened(this.#copy);
    const wait = this.#untilOnDisk(new AbortController().signal);
    if (finishes) await waitFor(copy.leave(), wait);
    else if (pass !== null) await waitFor(copy.recordPass(pass), wait);
    this.#states.enter("finished");
  }

  /** As conclude(), in the place of the target that finished the copy. Nobody is let in any more. */
  async leaveFinished(): Promise<FinishedEnd> {
    this.door.close(servedAlready(this.#run.volume));
    this.#states.enter("concluding");
    const left = this.#opened(this.#finished).leave(this.#context.parts.addon);
    const end = await waitFor(left, this.#untilOnDisk(new AbortController().signal));
    this.#states.enter("finished");
    return end;
  }

  /**
   * Ends the session that broke, or that a newer one takes over from, so that nothing of it touches the volume any
   * more; throws `error` when there is to be no other.
   */
  async recover(error: PvferryError, guest: Guest): Promise<void> {
    const { observe, signal } = this.#context;
    const superseded = guest.superseded.aborted;
    const isOn = this.#recovery.isOn && !isLook(modeOf(guest.hello));
    const lost = error.code === 20 && isOn;
    if (signal.aborted || !this.#states.allows("recovering") || !(superseded || lost)) throw error;
    if (isOn) this.#recovery.broke(hasMoved(this.#copy?.counters() ?? null));
    this.#states.enter("recovering");
    await this.#endSession(error);
    const next = superseded ? "" : ` Waiting for the source ${this.#recovery.untilText()}.`;
    observe({ type: "notice", message: `${error.message}${next}` });
    this.#states.enter("listening");
  }

  /** Tells the source, as far as it still listens; resolves with what to throw. */
  async fail(error: PvferryError): Promise<PvferryError> {
    const failure = withHowFar(error, this.#copy?.counters() ?? this.#far);
    this.#states.enter("failed");
    await this.#channel?.closeWith(error);
    return failure;
  }

  close(): void {
    this.#link?.close();
    this.#copy?.close();
    this.#channel?.close();
  }

  #receipt({ hello, start }: Admitted, source: Settled, durable: Durable): Receipt {
    return makeReceipt({
      transfer: this.#run.transfer,
      volume: this.#run.volumeName,
      mode: modeOf(hello),
      pass: { kind: start.pass, number: durable.pass.number, session: hello.session },
      previous: durable.pass.previous,
      rules: start.rules,
      agents: { source: hello.agent, target: this.#context.parts.agent },
      startedAt: durable.startedAt,
      endedAt: durable.endedAt,
      sessions: durable.sessions,
      verify: start.verify,
      lanes: source.lanes,
      lanesLost: source.lanesLost,
      results: { source: source.result, target: durable.result },
      items: this.#opened(this.#copy).ledger.kept,
      differences: this.#opened(this.#copy).differences.kept,
    });
  }

  async #agree({ channel, hello }: Guest): Promise<Pick<Admitted, "start" | "onto">> {
    this.#states.enter("preflight");
    const context = { ...this.#context, signal: this.#signal };
    const agreed = await agreeWithSource(context, this.#terms, channel, modeOf(hello));
    this.#states.enter("starting");
    const start = await channel.receive(["start"], {
      deadlineMs: LIMITS.startTimeoutMs,
      signal: this.#signal,
      tooLate: () => tooLate(channel, "word to start", LIMITS.startTimeoutMs),
    });
    return { start, onto: await chooseComparison(context, this.#terms, agreed, start) };
  }

  async #listenAgain({ channel, superseded }: Guest, error: PvferryError): Promise<void> {
    const lost = channel.over.aborted && error.code === 20;
    if (!(lost || superseded.aborted) || this.#context.signal.aborted) throw error;
    await channel.closeWith(error);
    const message = `${error.message} Nothing was copied; listening again.`;
    this.#context.observe({ type: "notice", message });
    this.#states.enter("listening");
  }

  /** A journal is discarded once: from then on there is this run's own. */
  get #terms(): TargetRun {
    return { ...this.#run, discardJournal: this.#run.discardJournal && !this.#hasJournal };
  }

  /** For the first source as long as it takes; for one that was lost as long as it tries itself. */
  #patience(): Pick<Wait, "deadlineMs" | "tooLate"> {
    return this.#whileRecovering(
      new PvferryError({ code: 20, message: "No source came.", next: "" }),
    );
  }

  #whileRecovering(last: PvferryError): Wait {
    const { signal } = this.#context;
    const deadlineMs = this.#recovery.remainingMs;
    return { deadlineMs, signal, tooLate: () => this.#recovery.givenUp(last) };
  }

  async #endSession(error: PvferryError): Promise<void> {
    const copy = this.#copy;
    this.#link?.close();
    copy?.close();
    this.#far = copy?.counters() ?? this.#far;
    await this.#channel?.closeWith(error);
    if (copy !== null) await waitFor(copy.gone(), this.#whileRecovering(error));
    this.#copy = null;
    this.#link = null;
    this.#channel = null;
  }

  #attach(channel: ControlChannel): void {
    this.#channel = channel;
    this.#states.attach(channel);
  }

  #openLink(channel: ControlChannel, copy: TargetCopy): SourceLink {
    const { observe } = this.#context;
    this.#link = new SourceLink(channel, {
      onScanned: (message) => copy.onScanned(message),
      onClosing: () => observe({ type: "waiting", for: "the source's closing walk" }),
      notice: (message) => observe({ type: "notice", message }),
    });
    return this.#link;
  }

  #whileLinked(deadlineMs: number | null, what = "end"): Wait {
    const signal = AbortSignal.any([this.#signal, this.#opened(this.#link).broken]);
    const channel = this.#opened(this.#channel);
    const late = deadlineMs === null ? noDeadline : () => tooLate(channel, what, deadlineMs);
    return { deadlineMs, signal, tooLate: late };
  }

  #untilOnDisk(signal: AbortSignal): Wait {
    const { volume } = this.#run;
    const deadlineMs = LIMITS.durableTimeoutMs;
    return { deadlineMs, signal, tooLate: () => notOnDisk(volume, deadlineMs) };
  }

  /** The steps come in an order that makes this a defect rather than a case. */
  #opened<T>(part: T | null): T {
    if (part === null) throw new TypeError("a step of the session came before its time");
    return part;
  }
}

/** A session that comes back for its verdict was let in for something else before. */
function modeOf({ wants }: MessageOf<"hello">): Mode {
  return wants === "verdict" ? "copy" : wants;
}
