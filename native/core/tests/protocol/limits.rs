//! The table of limits is the constants, all of them.

use std::collections::BTreeMap;

use pvferry_core::digest::blocks::BLOCK;
use pvferry_core::digest::file::{BLOCK_FORM_HOLES, PIECE};
use pvferry_core::wire::limits as wire;

use crate::document::rows;

fn constants() -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("MAX_FRAME", u64::from(wire::MAX_FRAME)),
        ("MAX_XATTRS_BYTES", wire::MAX_XATTRS_BYTES as u64),
        ("MAX_XATTR_VALUE", wire::MAX_XATTR_VALUE as u64),
        ("MAX_SYMLINK", wire::MAX_SYMLINK as u64),
        ("MAX_NAME", wire::MAX_NAME as u64),
        ("BATCH_ENTRIES", wire::BATCH_ENTRIES as u64),
        ("BATCH_BYTES", wire::BATCH_BYTES as u64),
        ("PACK_FILE", wire::PACK_FILE),
        ("PACK_BYTES", wire::PACK_BYTES),
        ("PACK_FILES", wire::PACK_FILES as u64),
        ("PACK_TABLE_BYTES", wire::PACK_TABLE_BYTES as u64),
        ("MAX_PACK_FILES", u64::from(wire::MAX_PACK_FILES)),
        ("WINDOW_FRAMES", wire::WINDOW_FRAMES as u64),
        ("AHEAD_FILES", wire::AHEAD_FILES as u64),
        ("MAX_SEGMENTS", u64::from(wire::MAX_SEGMENTS)),
        ("MAX_ATTEMPTS", u64::from(wire::MAX_ATTEMPTS)),
        ("MAX_WAITING_LINKS", wire::MAX_WAITING_LINKS as u64),
        ("MAX_LINK_NAMES", wire::MAX_LINK_NAMES as u64),
        ("MAX_LINK_BYTES", wire::MAX_LINK_BYTES as u64),
        ("MAX_DEPTH", u64::from(wire::MAX_DEPTH)),
        ("MAX_OPEN_DIRECTORIES", wire::MAX_OPEN_DIRECTORIES as u64),
        ("MAX_OPEN_XATTR_BYTES", wire::MAX_OPEN_XATTR_BYTES as u64),
        ("MAX_GAPS", wire::MAX_GAPS as u64),
        ("MAX_REFUSALS", u64::from(wire::MAX_REFUSALS)),
        ("MAX_EXCEPTIONS", wire::MAX_EXCEPTIONS as u64),
        ("MAX_ITEMS", u64::from(wire::MAX_ITEMS)),
        ("MAX_ITEM_TEXT", wire::MAX_ITEM_TEXT as u64),
        ("SUMS_PIECES", wire::SUMS_PIECES),
        ("MAX_DIFFERENCES", u64::from(wire::MAX_DIFFERENCES)),
        ("DIFFERENCES_BYTES", wire::DIFFERENCES_BYTES as u64),
        ("PIECE", PIECE),
        ("BLOCK", BLOCK as u64),
        ("BLOCK_FORM_HOLES", BLOCK_FORM_HOLES),
    ])
}

#[test]
fn the_document_states_every_limit() {
    let rows = rows("Limits of index and lanes");
    let documented: BTreeMap<&str, u64> =
        rows.iter().map(|row| (row[0].as_str(), row[1].replace(',', "").parse().unwrap())).collect();
    assert_eq!(documented, constants());
}

#[test]
fn no_constant_is_missing_here() {
    let source = include_str!("../../src/wire/limits.rs");
    let declared = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    let known = constants();
    let missing: Vec<_> = declared.filter(|name| !known.contains_key(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_largest_pack_fits_into_a_frame() {
    let table = wire::PACK_TABLE_BYTES + wire::MAX_XATTRS_BYTES;
    let data = wire::PACK_BYTES + wire::PACK_FILE;
    assert!(table as u64 + data < u64::from(wire::MAX_FRAME) - 256 * 1_024, "names and lengths need room too");
}
