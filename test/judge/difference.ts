/** One thing that is not the same in two trees. */
export interface Difference {
  /** Relative to the roots, bytes as latin1; "" is the root, or belongs to no single entry. */
  readonly path: string;
  readonly what: string;
}
