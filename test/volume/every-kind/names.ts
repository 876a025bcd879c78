/** Names of every byte, names that look like something else, and paths longer than the system's own limit. */
import { bytesOf, directory, file, symlink, type Entry } from "../entry.ts";

const LONGEST_NAME = 255;
const DEEP_PATH_BYTES = 8192;

const ODD_NAMES = [
  " ",
  " leading and trailing ",
  "new\nline",
  "\n",
  "trailing newline\n",
  "carriage\rreturn",
  "tab\there",
  "-rf",
  "--delete",
  "*",
  "?[a-z]{x,y}",
  "~",
  "#comment",
  "$HOME `id` $(id)",
  "'single' \"double\"",
  "back\\slash",
  "\\012 is not a newline",
  "...",
  ".hidden",
  ".. ",
  "con.txt:stream",
  "\u001b[2J\u001b]0;title\u0007\u001b[31mred",
  "\u0007\u0008\u007f",
];

const ODD_BYTES = [
  bytesOf("gr\u00fc\u00df Gott \u2603 \u{1f980}"),
  bytesOf("caf\u00e9"),
  bytesOf("cafe\u0301"),
  bytesOf("\u202etxt.exe"),
  bytesOf("\u2028line separator"),
  "\xff\xfe",
  "invalid \xc3\x28 sequence",
  "overlong \xc0\xaf slash",
  "surrogate \xed\xa0\x80",
  "latin1 \xe9t\xe9",
  "n".repeat(LONGEST_NAME),
  "\xff".repeat(LONGEST_NAME),
  bytesOf("\u20ac".repeat(LONGEST_NAME / 3)),
  "\n".repeat(LONGEST_NAME),
];

/** One name per byte; "." alone is not a name and "/" and NUL cannot be. */
function everyByte(): Entry[] {
  const bytes = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1)).filter(
    (byte) => byte !== "/",
  );
  return bytes.flatMap((byte, index) => [
    file(`names/bytes/of-${byte}-${index}`, ""),
    ...(byte === "." ? [] : [file(`names/bytes/${byte}`, `byte ${index + 1}\n`)]),
  ]);
}

export function names(): Entry[] {
  return [
    directory("names"),
    directory("names/bytes"),
    ...everyByte(),
    directory("names/odd"),
    ...[...ODD_NAMES, ...ODD_BYTES].map((name) => file(`names/odd/${name}`, name)),
    directory("names/directories"),
    ...[...ODD_NAMES, ...ODD_BYTES].flatMap((name) => [
      directory(`names/directories/${name}`),
      file(`names/directories/${name}/inside`, ""),
      symlink(`names/directories/${name}/same`, `../${name}`),
    ]),
    // Only at a volume's root do these two mean anything.
    directory("names/lost+found"),
    file("names/lost+found/kept", "an ordinary name down here\n"),
    directory("names/.pvferry"),
    file("names/.pvferry/transfer", "an ordinary name down here\n"),
  ];
}

export function deepPath(): Entry[] {
  const entries: Entry[] = [directory("deep")];
  let path = "deep";
  for (let level = 0; path.length < DEEP_PATH_BYTES; level++) {
    path += `/${String(level).padStart(3, "0")}${"d".repeat(197)}`;
    entries.push(directory(path, { mode: 0o751 }));
    if (level % 10 === 0) entries.push(file(`${path}/file`, `at level ${level}\n`));
  }
  entries.push(
    file(`${path}/bottom`, "more than 8 KB down\n"),
    symlink(`${path}/symlink`, "bottom"),
  );
  return entries;
}
