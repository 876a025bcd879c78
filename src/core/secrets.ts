/**
 * The one redactor. Passwords are kept out of every text where texts are made; what is about to leave the process in
 * words (a terminal, a log, a peer) goes through here all the same, since libraries have messages of their own.
 */

/** Shorter ones would turn every text into stars, and keep nothing from anybody who wants to know them. */
const SHORTEST = 3;

const secrets = new Set<string>();

/** From now on `redacted` knows it, as it is and in the forms in which it travels. */
export function keepSecret(secret: string, ...otherForms: readonly string[]): void {
  const quoted = JSON.stringify(secret).slice(1, -1);
  for (const form of [secret, encodeURIComponent(secret), quoted, ...otherForms]) {
    if (form.length >= SHORTEST) secrets.add(form);
  }
}

export function redacted(text: string): string {
  let out = text;
  // Longer ones first: one may be a part of another.
  for (const secret of [...secrets].toSorted((a, b) => b.length - a.length)) {
    out = out.replaceAll(secret, "***");
  }
  return out;
}
