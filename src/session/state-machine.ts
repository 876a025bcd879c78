/** Executes a table of states: refuses what the table does not allow, and tells watchers and the channel. */

import type { TransferPhase } from "../core/events.ts";
import type { ControlStage } from "../wire/control-messages.ts";
import type { StateTable } from "./states.ts";

export class StateMachine<Name extends string> {
  readonly #table: StateTable<Name>;
  readonly #onPhase: (phase: TransferPhase) => void;
  #state: Name;

  constructor(table: StateTable<Name>, first: Name, onPhase: (phase: TransferPhase) => void) {
    this.#table = table;
    this.#onPhase = onPhase;
    this.#state = first;
    this.#announce();
  }

  get state(): Name {
    return this.#state;
  }

  get stage(): ControlStage | null {
    return this.#table[this.#state].stage;
  }

  enter(next: Name): void {
    if (!this.#table[this.#state].next.includes(next)) {
      throw new RangeError(`a session cannot go from "${this.#state}" to "${next}"`);
    }
    this.#state = next;
    this.#announce();
  }

  #announce(): void {
    const { phase } = this.#table[this.#state];
    if (phase !== null) this.#onPhase(phase);
  }
}
