import { describe, expect, test } from "vitest";

import {
  choice,
  DELETE_LIMIT,
  duration,
  hostPortText,
  integer,
  label,
  listenAddress,
  parseHostPort,
  PATH,
  rate,
  SWITCH,
} from "../../../src/config/value-kinds.ts";

describe("HOST:PORT", () => {
  test.for([
    ["target.example:6443", { host: "target.example", port: 6443 }],
    ["10.0.0.7:1", { host: "10.0.0.7", port: 1 }],
    ["[2001:db8::7]:65535", { host: "2001:db8::7", port: 65_535 }],
    ["[fe80::1%eth0]:6443", { host: "fe80::1%eth0", port: 6443 }],
    ["my_host-1:22", { host: "my_host-1", port: 22 }],
  ] as const)("%s", ([text, expected]) => {
    expect(parseHostPort(text)).toEqual(expected);
    expect(parseHostPort(hostPortText(expected))).toEqual(expected);
  });

  test.for([
    "",
    "host",
    ":6443",
    "host:",
    "host:0",
    "host:65536",
    "host:x",
    "::1:6443",
    "[]:1",
    "a b:1",
    "[host]:1",
  ])("%j is none", (text) => {
    expect(parseHostPort(text)).toBeUndefined();
  });
});

describe("[HOST:]PORT", () => {
  const kind = listenAddress("::", 6443);

  test.for([
    ["6443", "::", 6443],
    [":0", "::", 0],
    ["127.0.0.1:0", "127.0.0.1", 0],
    ["[::1]:9", "::1", 9],
  ] as const)("%s", ([text, host, port]) => {
    expect(kind.parse(text)).toEqual({ host, port });
  });

  test.for(["", "host", "70000", "[]:1", "::1:5"])("%j is none", (text) => {
    expect(kind.parse(text)).toBeUndefined();
  });
});

describe("a rate", () => {
  const kind = rate(1_000, 5_000_000_000);

  test.for([
    ["1000", 1_000],
    ["800k", 800_000],
    ["12.5M", 12_500_000],
    ["2G", 2_000_000_000],
    ["1Ki", 1_024],
    ["10Mi", 10_485_760],
    ["1.5Gi", 1_610_612_736],
  ] as const)("%s", ([text, bytes]) => {
    expect(kind.parse(text)).toBe(bytes);
  });

  test.for(["", "k", "999", "6G", "10m", "10 M", "1e6", "-1M", "10KiB", ".5M"])(
    "%j is none",
    (text) => {
      expect(kind.parse(text)).toBeUndefined();
    },
  );
});

describe("N or P%", () => {
  test.for([
    ["0", 0, null],
    ["1000", 1_000, null],
    ["999999999999999", 999_999_999_999_999, null],
    ["0%", null, 0],
    ["5%", null, 5],
    ["0.25%", null, 0.25],
    ["100%", null, 100],
  ] as const)("%s", ([text, entries, percent]) => {
    expect(DELETE_LIMIT.parse(text)).toEqual({ entries, percent });
  });

  test.for(["", "%", "-1", "1.5", "1e3", "100.01%", "101%", "0.125%", " 5%", "5 %", "5%%", "many"])(
    "%j is none",
    (text) => {
      expect(DELETE_LIMIT.parse(text)).toBeUndefined();
    },
  );
});

test("switches", () => {
  expect(["1", "TRUE", "yes", "on"].map(SWITCH.parse)).toEqual([true, true, true, true]);
  expect(["0", "False", "no", "off"].map(SWITCH.parse)).toEqual([false, false, false, false]);
  expect(SWITCH.parse("maybe")).toBeUndefined();
});

test("numbers, choices, durations, labels and paths keep to their bounds", () => {
  const lanes = integer(1, 64, 4);
  expect(["1", "64", "0", "65", "-1", "1.5", "", " 1", "1e1"].map(lanes.parse)).toEqual([
    1,
    64,
    ...Array.from({ length: 7 }),
  ]);
  expect(choice("auto", "none").parse("none")).toBe("none");
  expect(choice("auto", "none").parse("NONE")).toBeUndefined();
  const wait = duration(1_000, 60_000, 30_000);
  expect(["1s", "1m", "500ms", "2m", "5"].map(wait.parse)).toEqual([
    1_000,
    60_000,
    undefined,
    undefined,
    undefined,
  ]);
  const orNever = duration(0, 60_000, 30_000);
  expect(["0", "0s", "1m", "5"].map(orNever.parse)).toEqual([0, 0, 60_000, undefined]);
  expect(wait.parse("0")).toBeUndefined();
  expect(label(5).parse("a/b.c")).toBe("a/b.c");
  expect(["", "too long", "a\nb", "äöü"].map(label(5).parse)).toEqual(Array.from({ length: 4 }));
  expect(["", "a\0b"].map(PATH.parse)).toEqual([undefined, undefined]);
});

test("every kind's example is of its kind", () => {
  const kinds = [
    listenAddress("::", 6443),
    SWITCH,
    PATH,
    integer(1, 3, 2),
    choice("a", "b"),
    duration(1, 9, 5),
    label(9),
    DELETE_LIMIT,
  ];
  for (const kind of kinds) expect(kind.parse(kind.example)).toBeDefined();
});
