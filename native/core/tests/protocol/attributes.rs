//! docs/design.md lists which extended attributes travel, in the order of the policy's table.

use pvferry_core::fs::xattr_policy::{Verdict, classify};

const DESIGN: &str = include_str!("../../../../docs/design.md");
const POLICY: &str = include_str!("../../src/fs/xattr_policy.rs");

/// Patterns and verdicts as the document has them.
fn documented() -> Vec<(&'static str, &'static str)> {
    let (_, table) = DESIGN.split_once("| attribute | is | because |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].trim_matches('`'), cells[2])).collect()
}

#[test]
fn every_row_of_the_policy_is_documented_in_its_order() {
    let calls = POLICY.split("rule(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let patterns: Vec<_> = calls.filter_map(|rest| rest.split('"').next()).collect();
    let documented: Vec<_> = documented().into_iter().map(|(pattern, _)| pattern).collect();
    assert!(patterns.len() > 30);
    assert_eq!(documented, patterns);
}

#[test]
fn the_policy_decides_as_documented() {
    for (pattern, is) in documented() {
        let name = pattern.replace('*', "x");
        let decided = match classify(name.as_bytes(), false) {
            Verdict::Keep => "kept",
            Verdict::LeaveOut(_) => "left out",
            Verdict::Duplicate => "duplicate",
        };
        assert_eq!(decided, is, "{pattern}");
    }
}
