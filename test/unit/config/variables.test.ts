import { describe, expect, test } from "vitest";

import { environmentName, FLAGS } from "../../../src/config/flags.ts";
import { refuseUnknownVariables, type Environment } from "../../../src/config/variables.ts";
import { refusalOf } from "../../bed/refusal.ts";

/** As the kubelet sets them for a Service with one port, which has a name. */
function serviceVariables(service: string): Environment {
  const address = "10.0.0.11";
  return {
    [`${service}_SERVICE_HOST`]: address,
    [`${service}_SERVICE_PORT`]: "6443",
    [`${service}_SERVICE_PORT_CONTROL_TLS`]: "6443",
    [`${service}_PORT`]: `tcp://${address}:6443`,
    [`${service}_PORT_6443_TCP`]: `tcp://${address}:6443`,
    [`${service}_PORT_6443_TCP_PROTO`]: "tcp",
    [`${service}_PORT_6443_TCP_PORT`]: "6443",
    [`${service}_PORT_6443_TCP_ADDR`]: address,
  };
}

describe("an environment variable that begins with PVFERRY_", () => {
  test("is known when any command's flag has it, or the addon's place, or a test of pvferry's own", () => {
    const names = [
      ...Object.values(FLAGS).map(environmentName),
      "PVFERRY_ADDON",
      "PVFERRY_TEST_SEED",
    ];
    const environment = Object.fromEntries(names.map((name) => [name, "anything"]));
    expect(() => refuseUnknownVariables(environment)).not.toThrow();
  });

  test.each([
    ["PVFERRY_LANS", "PVFERRY_LANES"],
    ["PVFERRY_LANE", "PVFERRY_LANES"],
    ["PVFERRY_RECONECT_TIMEOUT", "PVFERRY_RECONNECT_TIMEOUT"],
    ["PVFERRY_MAX_DELETES", "PVFERRY_MAX_DELETE"],
    ["PVFERRY_lanes", "PVFERRY_LANES"],
  ])("is refused when it is misspelt: %s", (name, near) => {
    const refusal = refusalOf(() => refuseUnknownVariables({ [name]: "3", PATH: "/bin" }));
    expect(refusal.code).toBe(2);
    expect(refusal.message).toContain(`variable ${name} is set`);
    expect(refusal.next).toMatch(new RegExp(`^Did you mean ${near}\\? If not, unset it;`));
  });

  test("is refused without a guess when nothing is near, and without control characters", () => {
    const refusal = refusalOf(() => refuseUnknownVariables({ "PVFERRY_\u001B[2JSOMETHING": "1" }));
    expect(refusal.message).toContain("PVFERRY_\\x1b[2JSOMETHING");
    expect(refusal.next).toMatch(/^Unset it;/);
  });

  test("is not set when it is empty", () => {
    expect(() => refuseUnknownVariables({ PVFERRY_LANS: "" })).not.toThrow();
  });

  test.each(["PVFERRY", "PVFERRY_TARGET", "PVFERRY_2_SERVICE"])(
    "may be Kubernetes's, of a Service: %s",
    (service) => {
      expect(() => refuseUnknownVariables(serviceVariables(service))).not.toThrow();
    },
  );

  test.each(["PVFERRY_PORT", "PVFERRY_LISTEN_PORT", "PVFERRY_SERVICE_PORT"])(
    "is not Kubernetes's where there is no such Service: %s",
    (name) => {
      const environment = { ...serviceVariables("PVFERRY_TARGET"), [name]: "6443" };
      expect(refusalOf(() => refuseUnknownVariables(environment)).message).toContain(name);
    },
  );

  test("is not Kubernetes's because a Service's name comes first", () => {
    const environment = { ...serviceVariables("PVFERRY"), PVFERRY_PORT_6443_TPC: "x" };
    expect(refusalOf(() => refuseUnknownVariables(environment)).message).toContain("TPC");
  });
});
