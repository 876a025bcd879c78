import type { TransferEvent } from "../core/events.ts";
import { redacted } from "../core/secrets.ts";
import { sentence } from "../core/sentences.ts";
import { itemText } from "./item-text.ts";
import type { Printer } from "./printers.ts";
import { FIRST_SNAPSHOT, reduce, type Snapshot } from "./snapshot.ts";

/** Takes a transfer's events, keeps the snapshot and tells a printer. */
export class TransferWatch {
  readonly #printer: Printer;
  readonly #tellsMore: boolean;
  #snapshot: Snapshot = FIRST_SNAPSHOT;

  /** `tellsMore` says each item on a line of its own, and details (-v); items are counted in any case. */
  constructor(printer: Printer, tellsMore: boolean) {
    this.#printer = printer;
    this.#tellsMore = tellsMore;
  }

  /** For who wants to know how far it was, at any moment. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** An arrow, to be handed on by itself. Cheap enough to be called for every single item. */
  readonly observe = (raw: TransferEvent): void => {
    const event = withoutSecrets(raw);
    const before = this.#snapshot;
    this.#snapshot = reduce(before, event, performance.now());
    this.#printer.show(this.#snapshot);
    const line = this.#lineFor(event, before);
    if (line !== null) this.#printer.say(line);
  };

  stop(): void {
    this.#printer.stop();
  }

  #lineFor(event: TransferEvent, before: Snapshot): string | null {
    if (event.type === "notice") return event.message;
    if (event.type === "detail") return this.#tellsMore ? event.message : null;
    if (event.type === "item" && this.#tellsMore) return itemText(event.item);
    // Said once, not with every attempt.
    if (event.type !== "waiting" || event.for === before.waitingFor) return null;
    return sentence(`Waiting for ${event.for}`);
  }
}

/** These hold sentences from anywhere; everything else is names and numbers. */
function withoutSecrets(event: TransferEvent): TransferEvent {
  if (event.type === "notice" || event.type === "detail") {
    return { ...event, message: redacted(event.message) };
  }
  return event.type === "waiting" ? { ...event, for: redacted(event.for) } : event;
}
