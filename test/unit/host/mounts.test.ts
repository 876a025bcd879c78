import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { mountOf, type Mount } from "../../../src/host/mounts.ts";
import { privacyOf } from "../../../src/host/private-file.ts";
import { scratch } from "../../bed/scratch.ts";

const TABLE = `
22 1 8:1 / / ro,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /tls\\040dir ro,relatime - tmpfs tmpfs rw,size=64k
31 22 0:41 / /data rw,relatime - xfs /dev/sdb rw
32 22 0:41 /deep /data/over rw,relatime master:3 - xfs /dev/sdb rw
33 22 0:42 / /data rw - nfs4 server:/export ro
`;

test.for([
  ["/etc/passwd", "/", true, "ext4"],
  ["/tls dir/tls.key", "/tls dir", true, "tmpfs"],
  ["/data/x", "/data", true, "nfs4"],
  ["/data/over/x", "/data/over", false, "xfs"],
  ["/database", "/", true, "ext4"],
] as const)("%s lies on %s", ([file, mountPoint, readOnly, filesystem]) => {
  expect(mountOf(file, TABLE)).toMatchObject({ mountPoint, readOnly, filesystem });
});

test("a table that cannot be read says nothing; this host's can", () => {
  expect(mountOf("/x", "")).toBeNull();
  expect(mountOf("/")).toMatchObject({ mountPoint: "/" });
});

const mount = (filesystem: string, readOnly: boolean): (() => Mount) => {
  return () => ({ mountPoint: "/tls", device: "0:1", root: "/", filesystem, readOnly });
};

test("a key that nobody else may touch is private wherever it lies", () => {
  using files = scratch();
  writeFileSync(files.at("tls.key"), "", { mode: 0o600 });
  expect(privacyOf(files.at("tls.key"), mount("ext4", false)).type).toBe("private");
  expect(privacyOf(files.at("tls.key")).type).toBe("private");
});

test.for([
  [0o640, "tmpfs", true, "kubelet-mount"],
  [0o644, "tmpfs", true, "kubelet-mount"],
  [0o440, "tmpfs", true, "kubelet-mount"],
  [0o640, "tmpfs", false, "exposed"],
  [0o644, "overlay", true, "exposed"],
  [0o604, "ext4", false, "exposed"],
  [0o620, "ext4", false, "exposed"],
] as const)("mode %o on %s, read-only %s: %s", ([mode, filesystem, readOnly, type]) => {
  using files = scratch();
  writeFileSync(files.at("tls.key"), "");
  chmodSync(files.at("tls.key"), mode);
  expect(privacyOf(files.at("tls.key"), mount(filesystem, readOnly)).type).toBe(type);
});

test("the kubelet's links are followed, and tell its mounts on other file systems", () => {
  using files = scratch();
  mkdirSync(files.at("..2026_11_22"));
  writeFileSync(files.at("..2026_11_22/tls.key"), "");
  chmodSync(files.at("..2026_11_22/tls.key"), 0o644);
  symlinkSync("..2026_11_22", files.at("..data"));
  symlinkSync("..data/tls.key", files.at("tls.key"));
  expect(privacyOf(files.at("tls.key"), mount("virtiofs", true)).type).toBe("kubelet-mount");
  const exposed = { type: "exposed", mode: "0644" };
  expect(privacyOf(files.at("tls.key"), mount("virtiofs", false))).toEqual(exposed);
});
