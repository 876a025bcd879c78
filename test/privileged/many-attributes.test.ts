/** Small files whose attributes are larger than their data: a pack of them must not outgrow a frame. */
import { expect, it } from "vitest";

import { pvferry } from "../agent/run-pvferry.ts";
import { mountFilesystem } from "../bed/filesystem.ts";
import { describeWith } from "../bed/needs.ts";
import { makeEntries } from "../volume/apply.ts";
import { directory, file } from "../volume/entry.ts";
import { randomBytes } from "../volume/random-bytes.ts";

const FILES = 120;
const ATTRIBUTE_BYTES = 60_000;

describeWith({ root: true }, "small files with large attributes", () => {
  it("are copied in as many packs as it takes", async () => {
    using bed = mountFilesystem({ kind: "xfs" });
    const { bytes } = randomBytes("attributes");
    const files = Array.from({ length: FILES }, (_, index) =>
      file(`source/${index}`, `${index}`, {
        xattrs: [{ name: "user.large", value: bytes(ATTRIBUTE_BYTES) }],
      }),
    );
    await makeEntries(bed.path, [directory("source"), ...files]);
    const { code, stderr } = await pvferry(["copy", `${bed.path}/source`, `${bed.path}/target`]);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`${FILES} files`);
  });
});
