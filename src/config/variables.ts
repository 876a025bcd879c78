/**
 * Which environment variables that begin with PVFERRY_ there may be. One that nothing reads is a typing mistake more often
 * than not, and would change what a copy does without a word; so it is refused as an unknown flag is.
 */

import { closestMatch } from "leven";

import { PvferryError } from "../core/errors.ts";
import { escapeText } from "../core/names.ts";
import { environmentName, FLAGS } from "./flags.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = "PVFERRY_";

/** Those of all commands, since a pod's or shell's environment may serve several; and the native addon's place. */
const KNOWN: readonly string[] = [...Object.values(FLAGS).map(environmentName), "PVFERRY_ADDON"];

/** Of the project's own tests. */
const TESTS = "PVFERRY_TEST_";

/** Farther than this it is another word. */
const NEAR = 4;

/** Throws (2) for the first, by name, that nothing reads. One that is empty counts as not set. */
export function refuseUnknownVariables(environment: Environment): void {
  const set = Object.keys(environment).filter((name) => name.startsWith(PREFIX));
  const services = set.filter((name) => name.endsWith(SERVICE_HOST));
  const unknown = set
    .filter((name) => environment[name] !== "" && !name.startsWith(TESTS) && !KNOWN.includes(name))
    .filter((name) => !services.some((host) => isOfService(name, host)))
    .toSorted()[0];
  if (unknown !== undefined) throw unknownVariable(unknown);
}

const SERVICE_HOST = "_SERVICE_HOST";

/** What follows a Service's name: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
const SERVICE_REST =
  /^_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/**
 * Kubernetes sets these in every pod beside a Service called pvferry, or pvferry-target and so on; all of them or none,
 * so that the host tells which Services there are.
 */
function isOfService(name: string, host: string): boolean {
  const service = host.slice(0, -SERVICE_HOST.length);
  return name.startsWith(service) && SERVICE_REST.test(name.slice(service.length));
}

function unknownVariable(name: string): PvferryError {
  const near = closestMatch(name.toUpperCase(), KNOWN, { maxDistance: NEAR });
  const otherwise = "pvferry COMMAND --help names every variable.";
  return new PvferryError({
    code: 2,
    message: `The environment variable ${escapeText(name)} is set, and pvferry knows none of that name.`,
    next:
      near === undefined
        ? `Unset it; ${otherwise}`
        : `Did you mean ${near}? If not, unset it; ${otherwise}`,
  });
}
