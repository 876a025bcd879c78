/**
 * The id of a transfer, and the URI by which a certificate says which transfer and which side its holder is. Ids appear
 * in file names, certificates and Kubernetes objects, hence the narrow alphabet.
 */

import { createHash, randomUUID } from "node:crypto";

export type Role = "source" | "target";

export interface LeafName {
  readonly transfer: string;
  readonly role: Role;
}

const TRANSFER_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LEAF_URI = /^pvferry:\/\/([a-z0-9-]+)\/(source|target)$/;

export function isTransferId(text: string): boolean {
  return TRANSFER_ID.test(text);
}

export function newTransferId(): string {
  return randomUUID();
}

export function leafUri(name: LeafName): string {
  return `pvferry://${name.transfer}/${name.role}`;
}

export function parseLeafUri(uri: string): LeafName | null {
  const [, transfer, role] = LEAF_URI.exec(uri) ?? [];
  if (transfer === undefined || !isTransferId(transfer)) return null;
  return { transfer, role: role === "source" ? "source" : "target" };
}

export function oppositeRole(role: Role): Role {
  return role === "source" ? "target" : "source";
}

/**
 * A name for copying exactly this volume into exactly that one, the same every time, so that a copy started again finds
 * what an interrupted one left. Both paths have to be resolved.
 */
export function copyVolumeName(source: string, target: string): string {
  const hash = createHash("sha256").update(source).update("\0").update(target).digest("hex");
  return `copy-${hash.slice(0, 32)}`;
}
