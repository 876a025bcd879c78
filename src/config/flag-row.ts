/** What a row of the table of flags is, and how one is written down. */

import { SWITCH, type Given, type ValueKind } from "./value-kinds.ts";

export const COMMANDS = [
  "copy",
  "source",
  "target",
  "digest",
  "journal",
  "doctor",
  "pki init",
  "pki renew",
] as const;
export type CommandName = (typeof COMMANDS)[number];

export interface Flag<T, Commands extends readonly CommandName[] = readonly CommandName[]> {
  /** Without dashes; its environment variable is PVFERRY_ and the name in capitals. */
  readonly name: string;
  readonly short?: string;
  /** Another name, without dashes, that means the same. */
  readonly alias?: string;
  /** Placeholder in help; null for a switch, which also has a --no- form when its fallback is true. */
  readonly value: string | null;
  readonly kind: ValueKind<NonNullable<T>>;
  /** What holds when neither argument nor environment says anything; "required" when one of them has to. */
  readonly fallback: T | "required";
  /** The fallback in words; empty when the help says enough. */
  readonly fallbackText: string;
  readonly help: string;
  readonly commands: Commands;
  /** Holds what nobody is to read: no message repeats its value. */
  readonly isSecret?: true;
  /** May be given several times: `kind` is that of one value, and a variable has one a line. */
  readonly isList?: true;
}

type Row<Field extends keyof Flag<unknown>, Commands> = Pick<
  Flag<unknown>,
  "name" | "short" | "alias" | "value" | "help" | Field
> & { readonly commands: Commands };

export function toggle<const Commands extends readonly CommandName[]>(
  row: Omit<Row<"name", Commands>, "value"> & { readonly on?: true },
): Flag<boolean, Commands> {
  const fallback = row.on ?? false;
  return { ...row, value: null, kind: SWITCH, fallback, fallbackText: fallback ? "on" : "" };
}

/** A flag that has to be given, or has a fallback. */
export function flag<V, const Commands extends readonly CommandName[]>(
  row: Row<"fallbackText", Commands> & {
    readonly kind: ValueKind<V>;
    readonly fallback: NoInfer<V> | "required";
  },
): Flag<V, Commands> {
  return row as Flag<V, Commands>;
}

/** A flag that may be left out; its value is then null. */
export function optional<V, const Commands extends readonly CommandName[]>(
  row: Row<"fallbackText", Commands> & { readonly kind: ValueKind<V>; readonly isSecret?: true },
): Flag<V | null, Commands> {
  return { ...row, fallback: null } as Flag<V | null, Commands>;
}

/** A flag that may be given several times. */
export function list<V, const Commands extends readonly CommandName[]>(
  row: Row<"name", Commands> & { readonly kind: ValueKind<V>; readonly isSecret?: true },
): Flag<readonly Given<V>[], Commands> {
  const flagRow: unknown = { ...row, fallback: [], fallbackText: "", isList: true };
  return flagRow as Flag<readonly Given<V>[], Commands>;
}
