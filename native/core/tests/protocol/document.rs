//! Reads docs/protocol.md: sections by heading, fenced bytes, rows of tables.

const DOCUMENT: &str = include_str!("../../../../docs/protocol.md");

/// What stands under a heading of any level, up to the next heading.
pub(crate) fn section(title: &str) -> &'static str {
    let is_heading = |line: &str| line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
    let mut found = None;
    let mut at = 0;
    for line in DOCUMENT.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if !is_heading(line) {
            continue;
        }
        if let Some(begin) = found {
            return &DOCUMENT[begin..start];
        }
        if line.trim_start_matches('#').trim() == title {
            found = Some(at);
        }
    }
    found.map_or_else(|| panic!("docs/protocol.md has no section {title:?}"), |begin| &DOCUMENT[begin..])
}

/// The bytes of a section's block that is fenced with this info string; comments begin with '#'.
pub(crate) fn bytes(title: &str, fence: &str) -> Vec<u8> {
    let section = section(title);
    let opening = format!("```{fence}\n");
    let start = section.find(&opening).unwrap_or_else(|| panic!("{title} has no block {fence:?}")) + opening.len();
    let length = section[start..].find("\n```").unwrap_or_else(|| panic!("{title}: the block does not end"));
    let lines = section[start..start + length].lines();
    let digits = lines.flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace());
    digits.map(|digit| u8::from_str_radix(digit, 16).unwrap_or_else(|_| panic!("{title}: {digit:?}"))).collect()
}

/// Rows of a section's tables, cells trimmed and without back quotes; headings and rules aside.
pub(crate) fn rows(title: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let lines: Vec<_> = section(title).lines().collect();
    let is_rule = |line: &str| line.starts_with("|-");
    let is_heading = |at: usize| lines.get(at + 1).is_some_and(|next| is_rule(next));
    let in_table = |at: usize| lines[at].starts_with('|') && !is_rule(lines[at]) && !is_heading(at);
    (0..lines.len()).filter(|at| in_table(*at)).map(|at| cells(lines[at])).collect()
}
