/** What test/privileged/live-writer.test.ts does, with a larger database and more passes. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { LIVE_WRITER_NEEDS, surviveLiveWriter } from "../proof/live-writer.ts";

describeWith(LIVE_WRITER_NEEDS, "a PostgreSQL under load", () => {
  it("is moved in six stage passes and a cutover", async () => {
    expect.hasAssertions();
    await surviveLiveWriter({ scale: 40, stagePasses: 6, pauseMs: 20_000 });
  });
});
