//! Whole copies between real sessions.

use std::os::unix::fs::FileExt;
use std::process::Command;

use pvferry_core::session::compress::Mode;
use pvferry_core::session::counters::Counter;

use super::pair::{Pair, expect_equal};
use super::volumes::{Place, furnish};

#[test]
fn every_kind_of_entry_arrives_with_equal_roots() {
    for (lanes, mode) in [(1, Mode::None), (3, Mode::Auto), (2, Mode::Zstd)] {
        let (from, to) = (Place::new(), Place::new());
        furnish(&from.root());
        let mut pair = Pair::compressed(&from.root(), &to.root(), lanes, mode);
        let settled = pair.copy();
        expect_equal(&settled, &from.root(), &to.root());
        assert_eq!(settled.source.resent, 0);
        // Directories are counted once.
        let entries = settled.source.entries;
        let kinds = [entries.files, entries.directories, entries.symlinks, entries.hard_links];
        let all = kinds.iter().sum::<u64>() + entries.fifos + entries.sockets + entries.devices;
        assert_eq!(pair.scanned(), all);
        assert_eq!(pair.from.items, []);
        to.expect_canary();
        from.expect_canary();
    }
}

#[test]
fn an_empty_volume_is_copied() {
    let (from, to) = (Place::new(), Place::new());
    let settled = Pair::open(&from.root(), &to.root(), 1).copy();
    expect_equal(&settled, &from.root(), &to.root());
}

#[test]
fn connections_that_were_there_before_the_session_carry_it() {
    let (from, to) = (Place::new(), Place::new());
    furnish(&from.root());
    let mut pair = Pair::open(&from.root(), &to.root(), 2);
    pair.bind_index();
    pair.bind_lane(1);
    pair.bind_lane(0);
    let settled = pair.wait();
    expect_equal(&settled, &from.root(), &to.root());
    assert_eq!(settled.source.resent, 0);
}

#[test]
fn a_path_of_eight_kilobytes_is_copied() {
    let (from, to) = (Place::new(), Place::new());
    let script =
        "n=$(printf 'd%.0s' $(seq 200)); for i in $(seq 41); do mkdir $n && cd -P $n || exit 1; done; echo deep > f";
    let made = Command::new("bash").args(["-c", script]).current_dir(from.root()).status().unwrap();
    assert!(made.success());
    let settled = Pair::open(&from.root(), &to.root(), 2).copy();
    expect_equal(&settled, &from.root(), &to.root());
    assert_eq!(settled.target.entries.directories, 42);
    assert_eq!(settled.target.entries.files, 1);
}

#[test]
fn progress_counts_data_and_no_holes_on_both_sides() {
    const MIB: u64 = 1 << 20;
    let (from, to) = (Place::new(), Place::new());
    std::fs::write(from.root().join("small"), [7; 1_000]).unwrap();
    let sparse = std::fs::File::create(from.root().join("sparse")).unwrap();
    sparse.set_len(1_000 * MIB).unwrap();
    for at in [0, 300 * MIB, 700 * MIB + 4_096] {
        sparse.write_all_at(&[1; 65_536], at).unwrap();
    }
    let mut pair = Pair::open(&from.root(), &to.root(), 2);
    let settled = pair.copy();
    expect_equal(&settled, &from.root(), &to.root());
    let data = 1_000 + 3 * 65_536;
    assert_eq!(pair.source.counters().get(Counter::BytesScanned), data);
    assert_eq!(pair.source.counters().get(Counter::BytesDone), data);
    assert_eq!(pair.target.counters().get(Counter::BytesDone), data);
}
