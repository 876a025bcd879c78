/**
 * Says how many connections a listener has turned away before they said anything: soon after the first, because it may
 * be the awaited peer with a wrong certificate, then less and less often, because it may be a scanner or a load
 * balancer's probe that never ends.
 */

import { LIMITS } from "../config/limits.ts";
import { quantityText } from "../core/units.ts";
import type { ListenerCounts } from "../native/types.ts";

type Kind = "handshakesFailed" | "refused" | "displaced";

const REASONS: readonly (readonly [Kind, string])[] = [
  ["handshakesFailed", "without a TLS handshake in which both sides trusted each other"],
  ["refused", "with the certificate of another transfer or of the wrong side"],
  ["displaced", "to make room for newer ones"],
];

export class Strangers {
  readonly #counts: () => ListenerCounts;
  readonly #say: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #told: Readonly<Record<Kind, number>> = { handshakesFailed: 0, refused: 0, displaced: 0 };
  #quietUntil = 0;
  #quietMs: number = LIMITS.strangersFirstQuietMs;

  /** Looks until it is closed; keeps no process alive. */
  constructor(counts: () => ListenerCounts, say: (message: string) => void) {
    this.#counts = counts;
    this.#say = say;
    this.#timer = setInterval(() => this.#look(), LIMITS.strangersLookEveryMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (performance.now() < this.#quietUntil) return;
    const counts = this.#counts();
    const parts = REASONS.map(
      ([kind, reason]) => [counts[kind] - this.#told[kind], reason] as const,
    );
    const some = parts.filter(([count]) => count > 0);
    if (some.length === 0) return;
    const all = some.reduce((sum, [count]) => sum + count, 0);
    const details = some.map(([count, reason]) => `${count} ${reason}`).join(", ");
    this.#say(`Turned away ${quantityText(all, "connection")}: ${details}.`);
    this.#told = counts;
    this.#quietUntil = performance.now() + this.#quietMs;
    this.#quietMs = Math.min(this.#quietMs * 2, LIMITS.strangersLongestQuietMs);
  }
}
