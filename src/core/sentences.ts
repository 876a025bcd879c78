/**
 * How sentences are put together. Messages are made of parts from several places (a system call's words, a peer's, an
 * inner error's), some of which end with a full stop and some of which do not; nobody else adds or removes one.
 */

/** `text` with a full stop, unless it ends like a sentence already. */
export function sentence(text: string): string {
  return /[.!?]["')]?$/.test(text) ? text : `${text}.`;
}

/** `text` without its full stop, to become part of a longer sentence. */
export function clause(text: string): string {
  return text.replace(/\.$/, "");
}

/** `text` as the beginning of a sentence. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
