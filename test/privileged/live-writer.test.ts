/** A real database is moved while it works. test/soak/live-writer.test.ts is the long form. */
import { expect, it } from "vitest";

import { describeWith } from "../bed/needs.ts";
import { LIVE_WRITER_NEEDS, surviveLiveWriter } from "../proof/live-writer.ts";

describeWith(LIVE_WRITER_NEEDS, "a PostgreSQL under load", () => {
  it("is moved in three stage passes and a cutover", async () => {
    expect.hasAssertions();
    await surviveLiveWriter({ scale: 2, stagePasses: 3, pauseMs: 1000 });
  });
});
