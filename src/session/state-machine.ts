/** Executes a table of states: refuses what the table does not allow, and tells watchers and the channel. */

import type { TransferPhase } from "../core/events.ts";
import type { ControlStage } from "../wire/control-messages.ts";
import type { StateTable } from "./states.ts";

/** The part of a control channel that follows the session's state. */
interface Staged {
  stage: ControlStage;
}

export class StateMachine<Name extends string> {
  readonly #table: StateTable<Name>;
  readonly #onPhase: (phase: TransferPhase) => void;
  #state: Name;
  #channel: Staged | null = null;

  constructor(table: StateTable<Name>, first: Name, onPhase: (phase: TransferPhase) => void) {
    this.#table = table;
    this.#onPhase = onPhase;
    this.#state = first;
    this.#announce();
  }

  get state(): Name {
    return this.#state;
  }

  /** From now on the channel stands where the session stands. */
  attach(channel: Staged): void {
    this.#channel = channel;
    this.#stageChannel();
  }

  allows(next: Name): boolean {
    return this.#table[this.#state].next.includes(next);
  }

  enter(next: Name): void {
    if (!this.allows(next)) {
      throw new RangeError(`a session cannot go from "${this.#state}" to "${next}"`);
    }
    this.#state = next;
    this.#announce();
  }

  #announce(): void {
    const { phase } = this.#table[this.#state];
    if (phase !== null) this.#onPhase(phase);
    this.#stageChannel();
  }

  #stageChannel(): void {
    const { stage } = this.#table[this.#state];
    if (stage !== null && this.#channel !== null) this.#channel.stage = stage;
  }
}
