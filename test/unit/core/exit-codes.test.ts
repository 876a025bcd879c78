import { expect, test } from "vitest";

import { EXIT_CODES, exitCodeRow, isExitCode } from "../../../src/core/exit-codes.ts";

test("every code and every name stands once, in order", () => {
  const codes = EXIT_CODES.map((row) => row.code);
  expect(codes).toEqual(codes.toSorted((a, b) => a - b));
  expect(new Set(codes).size).toBe(codes.length);
  expect(new Set(EXIT_CODES.map((row) => row.name)).size).toBe(codes.length);
});

test("numbers from elsewhere are checked", () => {
  expect(isExitCode(43)).toBe(true);
  expect(isExitCode(3)).toBe(false);
  expect(exitCodeRow(43).name).toBe("digest-mismatch");
});

test("docs/exit-codes.md is this table", async () => {
  await expect(page()).toMatchFileSnapshot("../../../docs/exit-codes.md");
});

function page(): string {
  const rows = EXIT_CODES.map(
    ({ code, name, meaning, retry }) => `| ${code} | \`${name}\` | ${meaning} | ${retry} |`,
  );
  return `# Exit codes

The same code stands in the receipt (\`exitCode\`) and in the JSON that \`--json\` prints for an error
(\`error.code\`), with its name. *Again* says whether the same command, run again, may end better.

| code | name | meaning | again |
|---:|---|---|---|
${rows.join("\n")}

When several of 40 to 43 apply, the first of 43, 40, 42, 41 is the verdict on a copy; on a comparison or a dry run the
first of 44, 40, 42, 43, 41. Both sides end with the same verdict; a side that did not hear it ends with 20, "outcome
unknown, run again".
`;
}
