/** The bed's bastion on trial, with OpenSSH as its client. */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { curl } from "../bed/network/curl.ts";
import { GREETER_PORT, greetedClusters, greetingFor } from "../bed/network/greeted-clusters.ts";
import { sshd, type Sshd } from "../bed/network/sshd.ts";
import { ADDRESSES, ROUTER_NAME, TARGET_NAME } from "../bed/network/two-clusters.ts";
import { scratch, type Scratch } from "../bed/scratch.ts";
import { askTool, type ToolAnswer } from "../judge/run-tool.ts";

const TO_GREETER = ["-W", `${TARGET_NAME}:${GREETER_PORT}`];
const REQUEST = "GET / HTTP/1.0\r\n\r\n";
const REMOTE_PORT = 6443;
/** ssh's own number for all that is not the end of a program. */
const FAILED = 255;
const programs = ["ip", "curl", "socat", "openssl", "ssh", "sshd", "ssh-keygen"];

interface Login {
  /** Default: by key. */
  readonly password?: string;
  readonly hostKey?: string;
}

describeWith({ root: true, programs }, "a bastion", () => {
  const clusters = greetedClusters();

  /** Nothing of the machine's own ssh: no agent, no configuration, no known hosts. */
  const sshLine = (place: Scratch, server: Sshd, login: Login = {}): readonly string[] => {
    const { password, hostKey = server.hostKey } = login;
    const [hosts, asks] = [place.at("known_hosts"), place.at("ask-password")];
    writeFileSync(hosts, `[${ROUTER_NAME}]:${server.port} ${hostKey}\n`);
    writeFileSync(asks, `#!/bin/sh\nprintf '%s\\n' "$PASSWORD"\n`, { mode: 0o700 });
    const variables = [
      `PATH=${process.env["PATH"]}`,
      `SSH_ASKPASS=${asks}`,
      "SSH_ASKPASS_REQUIRE=force",
      `PASSWORD=${password ?? ""}`,
    ];
    const options = [
      `UserKnownHostsFile=${hosts}`,
      "StrictHostKeyChecking=yes",
      "IdentitiesOnly=yes",
      `PreferredAuthentications=${password === undefined ? "publickey" : "password"}`,
      "NumberOfPasswordPrompts=1",
      "ExitOnForwardFailure=yes",
    ].flatMap((option) => ["-o", option]);
    const who = ["-p", String(server.port), "-i", server.user.identity, "-l", server.user.user];
    const enter = [...clusters().source.wrapper, "env", "-i", ...variables];
    return [...enter, "timeout", "30", "ssh", "-F", "none", ...options, ...who, ROUTER_NAME];
  };

  const ssh = async (line: readonly string[], ...flags: readonly string[]): Promise<ToolAnswer> => {
    const [command = "", ...args] = [...line, ...flags];
    return askTool({ command, args, input: REQUEST });
  };

  it("lets its user in by key or by password, and nobody who has neither", async () => {
    using place = scratch();
    await using server = await sshd({ namespace: clusters().router });
    for (const login of [{}, { password: server.user.password }]) {
      const answer = await ssh(sshLine(place, server, login), ...TO_GREETER);
      expect(answer.status, answer.complaints).toBe(0);
      expect(answer.output).toMatch(greetingFor("targetRouter"));
    }
    const wrong = await ssh(sshLine(place, server, { password: "wrong" }), ...TO_GREETER);
    expect(wrong.status).toBe(FAILED);
    expect(wrong.complaints).toContain("Permission denied (publickey,password)");
  });

  it("lets nobody in by what it is told not to accept", async () => {
    using place = scratch();
    const { router: namespace } = clusters();
    await using server = await sshd({ namespace, accepts: "password", port: 2223 });
    const byKey = await ssh(sshLine(place, server), ...TO_GREETER);
    expect(byKey.complaints).toContain("Permission denied (password)");
    const { password } = server.user;
    expect((await ssh(sshLine(place, server, { password }), ...TO_GREETER)).status).toBe(0);
  });

  it("has a key of its own, and gives nobody a shell", async () => {
    using place = scratch();
    await using server = await sshd({ namespace: clusters().router });
    const [type] = server.hostKey.split(" ");
    const hostKey = `${type} ${readFileSync(`${server.user.identity}.pub`, "utf8").split(" ")[1]}`;
    const deceived = await ssh(sshLine(place, server, { hostKey }), ...TO_GREETER);
    expect(deceived.complaints).toContain("Host key verification failed");
    const shell = await ssh(sshLine(place, server), "id");
    expect([shell.status, shell.output]).toEqual([1, expect.stringContaining("not available")]);
  });

  it.each([
    ["no", "administratively prohibited"],
    ["remote", "administratively prohibited"],
    ["local", ""],
  ] as const)("forwards to where it is asked only when told so: %s", async (forwards, refusal) => {
    using place = scratch();
    await using server = await sshd({ namespace: clusters().router, forwards });
    const { status, complaints } = await ssh(sshLine(place, server), ...TO_GREETER);
    expect([status, complaints]).toEqual([
      refusal === "" ? 0 : FAILED,
      expect.stringContaining(refusal),
    ]);
  });

  it("says when nobody listens where it is asked to go", async () => {
    using place = scratch();
    await using server = await sshd({ namespace: clusters().router });
    const answer = await ssh(sshLine(place, server), "-W", `${TARGET_NAME}:9`);
    expect(answer.complaints).toContain("connect failed: Connection refused");
  });

  it("listens for an agent that can only dial out, until it dies", async () => {
    using place = scratch();
    await using server = await sshd({ namespace: clusters().router });
    const to = `${ADDRESSES.sourceRouter.v4}:${server.port}`;
    const remote = ["-N", "-R", `0.0.0.0:${REMOTE_PORT}:${to}`];
    const dialing = ssh(sshLine(place, server), ...remote);
    const url = `telnet://${ADDRESSES.targetRouter.v4}:${REMOTE_PORT}`;
    const asks = async (): Promise<string> =>
      (await curl(url, { from: clusters().target, flags: ["--max-time", "1"] })).output;
    await expect.poll(asks, { timeout: 20_000 }).toContain("SSH-2.0-OpenSSH");
    await server.kill();
    expect((await dialing).status).toBe(FAILED);
    expect(await asks()).toBe("");
  });

  it("listens for nobody when told not to", async () => {
    using place = scratch();
    await using server = await sshd({ namespace: clusters().router, forwards: "local" });
    const remote = ["-N", "-R", `0.0.0.0:${REMOTE_PORT}:127.0.0.1:1`];
    const { status, complaints } = await ssh(sshLine(place, server), ...remote);
    expect(status).toBe(FAILED);
    expect(complaints).toContain("remote port forwarding failed");
  });
});
