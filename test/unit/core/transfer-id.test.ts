import { expect, test } from "vitest";

import {
  copyVolumeName,
  isTransferId,
  leafUri,
  newTransferId,
  oppositeRole,
  parseLeafUri,
} from "../../../src/core/transfer-id.ts";

test("a leaf's URI says transfer and role", () => {
  const transfer = newTransferId();
  expect(isTransferId(transfer)).toBe(true);
  expect(parseLeafUri(leafUri({ transfer, role: "target" }))).toEqual({ transfer, role: "target" });
});

test.for([
  "pvferry://abc/other",
  "pvferry://abc/source/",
  "pvferry:///source",
  "pvferry://-abc/source",
  "pvferry://ABC/source",
  "https://abc/source",
  "xpvferry://abc/source",
  `pvferry://${"a".repeat(64)}/source`,
])("%s is none", (uri) => {
  expect(parseLeafUri(uri)).toBeNull();
});

test("the name of a copy depends on both folders, and on their order", () => {
  expect(copyVolumeName("/a", "/b")).toBe(copyVolumeName("/a", "/b"));
  const others = [
    copyVolumeName("/b", "/a"),
    copyVolumeName("/a", "/c"),
    copyVolumeName("/a/", "b"),
  ];
  expect(new Set([copyVolumeName("/a", "/b"), ...others]).size).toBe(4);
  expect(oppositeRole(oppositeRole("source"))).toBe("source");
});
