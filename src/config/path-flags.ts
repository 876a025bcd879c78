/** The rows of flags.ts about the way to the side that listens. */

import { ENDPOINT } from "./endpoint.ts";
import { list, optional } from "./flag-row.ts";
import { FINGERPRINT, VIA } from "./proxy-kinds.ts";
import { PATH } from "./value-kinds.ts";

export const PATH_FLAGS = {
  to: optional({
    name: "to",
    alias: "dial",
    value: "ENDPOINT",
    kind: ENDPOINT,
    fallbackText: "what --to-file says",
    help: "dial this: HOST:PORT, route:HOST[:PORT], nodeport:HOST[,HOST...]:PORT or clusterip:HOST:PORT; an IPv6 address goes in brackets. Of a source, where its target listens; of a target, where its source does",
    commands: ["source", "target", "doctor"],
  }),
  toFile: optional({
    name: "to-file",
    value: "FILE",
    kind: PATH,
    fallbackText: "",
    help: "read the endpoint from this file, such as one of a mounted Secret, in place of --to",
    commands: ["source", "target", "doctor"],
  }),
  via: list({
    name: "via",
    value: "URL",
    kind: VIA,
    isSecret: true,
    help: "go through this proxy: http, https, socks5, socks5h or ssh://[USER[:PASSWORD]@]HOST[:PORT]; given again, through one after the other, near to far; env: as HTTPS_PROXY and NO_PROXY say",
    commands: ["source", "target", "doctor"],
  }),
  viaFile: list({
    name: "via-file",
    value: "FILE",
    kind: PATH,
    help: "read proxies from this file, one URL a line, so that no password stands in the command line; in its place among --via",
    commands: ["source", "target", "doctor"],
  }),
  viaCa: optional({
    name: "via-ca",
    value: "FILE",
    kind: PATH,
    fallbackText: "",
    help: "trust the CAs (PEM) in this file for https proxies, besides the well-known ones",
    commands: ["source", "target", "doctor"],
  }),
  sshKey: optional({
    name: "ssh-key",
    value: "FILE",
    kind: PATH,
    fallbackText: "the agent in SSH_AUTH_SOCK, if there is one",
    help: "private key for ssh proxies, without a passphrase",
    commands: ["source", "target", "doctor"],
  }),
  sshKnownHosts: optional({
    name: "ssh-known-hosts",
    value: "FILE",
    kind: PATH,
    fallbackText: "~/.ssh/known_hosts",
    help: "host keys of ssh proxies, as OpenSSH keeps them",
    commands: ["source", "target", "doctor"],
  }),
  sshHostKey: list({
    name: "ssh-host-key",
    value: "FINGERPRINT",
    kind: FINGERPRINT,
    help: "trust an ssh proxy with this host key, SHA256:... as ssh-keygen -l prints it (may be given again)",
    commands: ["source", "target", "doctor"],
  }),
} as const;
