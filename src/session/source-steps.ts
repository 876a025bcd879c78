/** The steps of the source's session. source.ts says in which order; states.ts says what may follow what. */

import { randomBytes } from "node:crypto";

import { LIMITS } from "../config/limits.ts";
import { toPvferryError, type PvferryError } from "../core/errors.ts";
import { isLook } from "../core/mode.ts";
import type { Receipt } from "../core/receipt.ts";
import { sleep, waitFor } from "../core/waiting.ts";
import type { VolumeFacts } from "../native/types.ts";
import type { MessageOf, OutgoingMessage } from "../wire/control-messages.ts";
import { reachTarget, type Attempts } from "./connect.ts";
import type { ControlChannel } from "./control-channel.ts";
import type { Counters } from "./counters.ts";
import type { EarlyConnections } from "./early-connections.ts";
import { isRefusal } from "./endings.ts";
import { Epochs } from "./epoch.ts";
import type { Greeting } from "./greeting.ts";
import { withHowFar } from "./how-far.ts";
import { noDeadline, tooLate } from "./late.ts";
import { makeReceipt } from "./make-receipt.ts";
import { listenUntilDurable, outcomeUnknown } from "./outcome.ts";
import { reasonFromPeer } from "./peer-reason.ts";
import { hasMoved, Recovery } from "./recovery.ts";
import { Returns } from "./returns.ts";
import type { SessionContext, SourceRun } from "./run-options.ts";
import {
  agreeWithTarget,
  saidAtOnce,
  untilReady,
  type SourceAgreement,
} from "./source-agreement.ts";
import { SourceCopy } from "./source-copy.ts";
import { StateMachine } from "./state-machine.ts";
import { SOURCE_STATES, type SourceState } from "./states.ts";
import type { WayIn } from "./way-in.ts";

type Hello = MessageOf<"hello">;
type Durable = MessageOf<"durable">;
export type Settled = Extract<OutgoingMessage, { type: "settled" }>;

export class SourceSteps {
  readonly #run: SourceRun;
  readonly #context: SessionContext;
  readonly #states: StateMachine<SourceState>;
  readonly #recovery: Recovery;
  readonly #epochs = new Epochs();
  #session: SessionNames;
  /** Sessions that came to copy something. */
  #copies = 0;
  /** How far the last of those was that have ended. */
  #far: Counters | null = null;
  /** The first way to the target, until it is gone. */
  #begun: WayIn | null;
  #line: Line | null = null;
  #copy: SourceCopy | null = null;

  constructor(run: SourceRun, context: SessionContext, begun: WayIn | null) {
    this.#run = run;
    this.#context = context;
    this.#begun = begun;
    // A list that has been printed cannot be begun anew.
    this.#recovery = new Recovery(isLook(run.mode) ? 0 : run.reconnectTimeoutMs);
    this.#session = this.#nameSession();
    this.#states = new StateMachine(SOURCE_STATES, "connecting", (phase) =>
      context.observe({ type: "phase", phase }),
    );
  }

  /** The first time within the connect timeout; after a break, as long as another session may still begin. */
  async connect(facts: VolumeFacts): Promise<Hello> {
    const { connectTimeoutMs } = this.#run;
    const remainingMs = this.#recovery.remainingMs;
    const begun = this.#begun;
    this.#begun = null;
    try {
      return await this.#reach(this.#run.mode, {
        begun,
        timeoutMs: remainingMs ?? connectTimeoutMs,
        behindHello: () => saidAtOnce(this.#run, facts),
        onStep: (step) => {
          if (this.#states.state !== step) this.#states.enter(step);
        },
      });
    } catch (thrown) {
      const error = toPvferryError(thrown);
      throw remainingMs === null || error.code !== 20 ? error : this.#recovery.givenUp(error);
    }
  }

  async agree(facts: VolumeFacts): Promise<SourceAgreement> {
    const { channel } = this.#openLine();
    this.#states.enter("preflight");
    const volumes = await agreeWithTarget(this.#context, this.#run, channel, facts);
    this.#states.enter("starting");
    return { ...volumes, ready: await untilReady(channel, this.#run, this.#context.signal) };
  }

  beginCopy(agreement: SourceAgreement): void {
    this.#copies += 1;
    this.#context.observe({ type: "session", number: this.#copies });
    this.#states.enter("copying");
    const { channel, early } = this.#openLine();
    const onClosing = (): void => this.#close(channel);
    const start = { run: this.#run, channel, agreement, early, onClosing };
    this.#copy = new SourceCopy(this.#context, start);
    this.#listen();
  }

  /** Until every entry is acknowledged. */
  async settle(): Promise<Settled> {
    const copy = this.#openCopy();
    const { channel, durable } = this.#openLine();
    // "durable" is out of order before this side has settled, so that listening can only fail here.
    const lost = durable.then(() => copy.settled);
    const wait = { deadlineMs: null, signal: this.#context.signal, tooLate: noDeadline };
    try {
      const result = await waitFor(Promise.race([copy.settled, lost]), wait);
      this.#states.enter("settled");
      copy.finish();
      const { laneCount: lanes, lanesLost, scan } = copy;
      return { type: "settled", result, lanes, lanesLost, sessions: this.#copies, scan };
    } catch (error) {
      throw await reasonFromPeer(toPvferryError(error), channel.over);
    }
  }

  /** Tells the target, and waits for its last word; comes back for it when the connection breaks. */
  async hearOutcome(settled: Settled): Promise<Durable> {
    for (;;) {
      this.#states.enter("awaiting");
      const { channel, durable } = this.#openLine();
      channel.post(settled);
      try {
        return await this.#untilDurable(channel, durable);
      } catch (error) {
        await this.#comeBack(channel, toPvferryError(error));
      }
    }
  }

  async conclude(target: Hello, settled: Settled, durable: Durable): Promise<Receipt> {
    this.#states.enter("concluding");
    await this.#sayFarewell();
    this.#states.enter("finished");
    return makeReceipt({
      transfer: this.#run.tls.transfer,
      volume: this.#run.volumeName,
      mode: this.#run.mode,
      pass: { kind: this.#run.pass, number: durable.pass.number, session: this.#session.id },
      previous: durable.pass.previous,
      rules: this.#run.rules,
      agents: { source: this.#context.parts.agent, target: target.agent },
      startedAt: durable.startedAt,
      endedAt: durable.endedAt,
      sessions: durable.sessions,
      verify: this.#run.verify,
      lanes: settled.lanes,
      lanesLost: settled.lanesLost,
      results: { source: settled.result, target: durable.result },
      items: this.#openCopy().ledger.kept,
      differences: this.#openCopy().differences.kept,
    });
  }

  /** Ends the session that broke, and waits before the next one; throws `error` when there is to be none. */
  async recover(error: PvferryError): Promise<void> {
    const { observe, signal } = this.#context;
    if (!this.#isLost(error) || signal.aborted) throw error;
    const pauseMs = this.#recovery.broke(hasMoved(this.#copy?.counters() ?? null));
    if (pauseMs >= (this.#recovery.remainingMs ?? 0)) throw this.#recovery.givenUp(error);
    this.#states.enter("recovering");
    await this.#endSession(error);
    const until = this.#recovery.untilText();
    observe({ type: "notice", message: `${error.message} Trying a new session ${until}.` });
    this.#session = this.#nameSession();
    await sleep(pauseMs, signal);
  }

  /** Tells the target, as far as it still listens; resolves with what to throw. */
  async fail(error: PvferryError): Promise<PvferryError> {
    const failure = withHowFar(error, this.#copy?.counters() ?? this.#far);
    this.#states.enter("failed");
    this.#line?.early.close();
    await this.#line?.channel.closeWith(error);
    return failure;
  }

  close(): void {
    this.#begun?.close();
    this.#copy?.close();
    this.#line?.early.close();
    this.#line?.channel.close();
  }

  /** The target hears of it, so that its user knows what it waits for. */
  #close(channel: ControlChannel): void {
    if (this.#states.state !== "copying") return;
    this.#states.enter("closing");
    channel.post({ type: "closing" });
  }

  /** Who is asked for a verdict and knows nothing of the session is another process: then only a new one helps. */
  #isLost(error: PvferryError): boolean {
    if (error.code !== 20 || !this.#recovery.isOn || !this.#states.allows("recovering")) {
      return false;
    }
    return this.#states.state !== "returning" || isRefusal(error);
  }

  async #endSession(error: PvferryError): Promise<void> {
    this.#copy?.close();
    this.#far = this.#copy?.counters() ?? this.#far;
    this.#line?.early.close();
    await this.#line?.channel.closeWith(error);
    this.#copy = null;
    this.#line = null;
  }

  #nameSession(): SessionNames {
    return {
      id: randomBytes(16).toString("hex"),
      epoch: this.#epochs.next(),
      returns: new Returns(this.#run.reconnectTimeoutMs),
    };
  }

  async #reach(wants: Greeting["wants"], attempts: Attempts): Promise<Hello> {
    const greeting = {
      agent: this.#context.parts.agent,
      transfer: this.#run.tls.transfer,
      volume: this.#run.volumeName,
      session: this.#session.id,
      epoch: this.#session.epoch,
      wants,
    };
    const reached = await reachTarget(this.#context, this.#run, greeting, attempts);
    const { channel, early, hello } = reached;
    this.#line = { channel, early, durable: Promise.withResolvers<Durable>().promise };
    this.#states.attach(channel);
    channel.startKeepAlive();
    return hello;
  }

  #listen(): void {
    const { channel, early } = this.#openLine();
    const durable = listenUntilDurable(channel, this.#openCopy(), this.#context.signal);
    // Whoever waits hears of it; a session that ends for another reason first has nobody waiting.
    durable.catch(() => undefined);
    this.#line = { channel, early, durable };
  }

  async #untilDurable(channel: ControlChannel, durable: Promise<Durable>): Promise<Durable> {
    const deadlineMs = LIMITS.settleTimeoutMs + LIMITS.durableTimeoutMs;
    return waitFor(durable, {
      deadlineMs,
      signal: this.#context.signal,
      tooLate: () => tooLate(channel, "verdict", deadlineMs),
    });
  }

  /** Only a lost connection is worth coming back for; anything else is thrown again. */
  async #comeBack(channel: ControlChannel, error: PvferryError): Promise<void> {
    const { observe, signal } = this.#context;
    const lost = channel.over.aborted && error.code === 20;
    if (!lost || signal.aborted) throw error;
    this.#states.enter("returning");
    observe({ type: "notice", message: `${error.message} Going back for the verdict.` });
    const { returns } = this.#session;
    const attempt = returns.begin();
    try {
      await sleep(attempt.pauseMs, signal);
      await this.#reach("verdict", {
        begun: null,
        timeoutMs: attempt.timeoutMs,
        behindHello: () => [],
        onStep: () => undefined,
      });
    } catch (thrown) {
      signal.throwIfAborted();
      const failure = toPvferryError(thrown);
      if (this.#isLost(failure)) throw failure;
      throw outcomeUnknown(failure, returns.windowMs);
    }
    this.#listen();
  }

  async #sayFarewell(): Promise<void> {
    const { channel } = this.#openLine();
    const wait = { deadlineMs: LIMITS.lastWordMs, signal: channel.over, tooLate: noDeadline };
    // A target that does not hear it waits a while and then ends with the same verdict.
    await waitFor(channel.send({ type: "farewell" }), wait).catch(() => undefined);
  }

  #openLine(): Line {
    if (this.#line === null) throw new TypeError("the session has no connection yet");
    return this.#line;
  }

  #openCopy(): SourceCopy {
    if (this.#copy === null) throw new TypeError("the session copies nothing yet");
    return this.#copy;
  }
}

/** One session, as its target knows it. */
interface SessionNames {
  readonly id: string;
  readonly epoch: number;
  readonly returns: Returns;
}

/** The connection to the target, and the promise of its last word over it. */
interface Line {
  readonly channel: ControlChannel;
  readonly early: EarlyConnections;
  readonly durable: Promise<Durable>;
}
