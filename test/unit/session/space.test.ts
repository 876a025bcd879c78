import { describe, expect, it } from "vitest";

import { refusalBeforeCopy, refusalWhileCopying } from "../../../src/session/space.ts";

const GB = 1e9;
const volume = {
  totalBytes: 100 * GB,
  freeBytes: 40 * GB,
  usedBytes: 60 * GB,
  totalInodes: 1_000_000,
  freeInodes: 400_000,
  isMountPoint: true,
};
const totals = { entries: 10, files: 8, directories: 2, bytes: 50 * GB, allocatedBytes: 5 * GB };

describe("space before the copy", () => {
  it("refuses what statfs says cannot fit", () => {
    const target = { ...volume, freeBytes: 30 * GB };
    expect(
      refusalBeforeCopy({ facts: volume, totals: null, filtered: false }, target),
    ).toMatchObject({
      code: 30,
      message: expect.stringContaining("the target volume has 30.0 GB free") as unknown,
    });
  });

  it("lets pass what may fit when a file system's own structures are left out", () => {
    expect(
      refusalBeforeCopy(
        { facts: volume, totals: null, filtered: false },
        { ...volume, freeBytes: 59 * GB, freeInodes: 700_000 },
      ),
    ).toBeNull();
  });

  it("knows nothing of a directory inside a larger file system", () => {
    const directory = { ...volume, isMountPoint: false };
    expect(
      refusalBeforeCopy(
        { facts: directory, totals: null, filtered: false },
        { ...volume, freeBytes: GB },
      ),
    ).toBeNull();
  });

  it("knows nothing of what rules leave of a volume", () => {
    const source = { facts: volume, totals: null, filtered: true };
    expect(refusalBeforeCopy(source, { ...volume, freeBytes: GB })).toBeNull();
  });

  it("goes by exact totals when the source was counted, holes left out", () => {
    expect(
      refusalBeforeCopy(
        { facts: volume, totals, filtered: false },
        { ...volume, freeBytes: 6 * GB },
      ),
    ).toBeNull();
    expect(
      refusalBeforeCopy(
        { facts: volume, totals: totals, filtered: false },
        { ...volume, freeBytes: 4 * GB },
      ),
    ).toMatchObject({
      code: 30,
      message: "The source volume needs 5.00 GB, and the target volume has 4.00 GB free.",
    });
  });

  it("refuses too few inodes, unless the target makes them as needed", () => {
    const few = { ...volume, freeBytes: 100 * GB, totalInodes: 50, freeInodes: 49 };
    expect(refusalBeforeCopy({ facts: volume, totals: null, filtered: false }, few)).toMatchObject({
      message: expect.stringContaining("600,000 inodes") as unknown,
    });
    expect(
      refusalBeforeCopy(
        { facts: volume, totals: null, filtered: false },
        { ...few, totalInodes: 0, freeInodes: 0 },
      ),
    ).toBeNull();
  });
});

describe("space while copying", () => {
  const target = { ...volume, freeBytes: GB, freeInodes: 100 };

  it("is enough up to the last byte and inode", () => {
    const counted = { entries: 101, allocatedBytes: GB };
    expect(refusalWhileCopying(volume, counted, target)).toBeNull();
  });

  it("is refused with the first byte or inode too many", () => {
    expect(
      refusalWhileCopying(volume, { entries: 1, allocatedBytes: GB + 1 }, target),
    ).not.toBeNull();
    expect(refusalWhileCopying(volume, { entries: 102, allocatedBytes: 0 }, target)).not.toBeNull();
  });

  it("does not take hard links for inodes", () => {
    const source = { ...volume, freeInodes: volume.totalInodes - 50 };
    expect(refusalWhileCopying(source, { entries: 5_000, allocatedBytes: 0 }, target)).toBeNull();
  });
});
