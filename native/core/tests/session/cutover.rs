//! Cutover passes: nothing may change between the beginning of the scan and the end of the closing walk.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use pvferry_core::session::compress::Mode;
use pvferry_core::session::counters::Counter;
use pvferry_core::session::item::ItemClass;
use pvferry_core::source::Pass;
use pvferry_core::wire::frame::FrameType;

use super::pair::{Pair, expect_equal};
use super::relay::{Frame, Hook, Verdict};
use super::volumes::{Place, furnish, noise};

fn run(command: &str, at: &Path) {
    assert!(Command::new("sh").args(["-c", command]).current_dir(at).status().unwrap().success(), "{command}");
}

/// Copies with one lane; when the target has acknowledged the first frame of data, which all files are in, `command`
/// runs. The paths that the source reports as changed, in order.
fn changed_after_reading(pass: Pass, command: &'static str) -> Vec<String> {
    let (from, to) = (Place::new(), Place::new());
    let root = from.root();
    (0..40).for_each(|n| fs::write(root.join(format!("f{n:02}")), noise(n, 900)).unwrap());
    fs::create_dir(root.join("d")).unwrap();
    let acted = AtomicBool::new(false);
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        let answered = frame.kind == FrameType::Ack && frame.lane.is_some();
        if answered && !acted.swap(true, Ordering::SeqCst) {
            run(command, &root);
        }
        Verdict::Pass
    });
    let mut pair = Pair::relayed_pass(&from.root(), &to.root(), (1, Mode::None), pass, hook);
    pair.attach_index();
    while pair.scanned() < 42 {
        thread::sleep(Duration::from_millis(5));
    }
    pair.attach_lanes();
    let settled = pair.wait();
    assert_eq!(settled.source.roots, settled.target.roots, "{command}");
    assert_eq!(pair.from.closings, usize::from(pass == Pass::Cutover));
    assert_eq!(pair.from.items.len(), pair.from.count(ItemClass::Changed), "{:?}", pair.from.items);
    assert_eq!(pair.to.items, pair.from.items, "the target hears of them before it settles");
    assert_eq!(settled.source.item_counts[ItemClass::Changed as usize - 1], pair.from.items.len() as u64);
    let mut paths: Vec<_> = pair.from.items.iter().map(|i| String::from_utf8(i.path.clone()).unwrap()).collect();
    paths.sort();
    paths
}

#[test]
fn a_change_after_the_reading_is_named() {
    for (command, paths) in [
        ("printf more >> f07", &["f07"][..]),
        ("chmod 600 f07", &["f07"]),
        ("touch -d @1000000000 f07", &["f07"]),
        ("mv f07 g", &["", "g"]),
        ("rm f07", &[""]),
        ("touch d/new", &["d", "d/new"]),
        ("true", &[]),
    ] {
        assert_eq!(changed_after_reading(Pass::Cutover, command), paths, "{command}");
    }
}

#[test]
fn a_stage_pass_does_not_look_again() {
    assert_eq!(changed_after_reading(Pass::Stage, "printf more >> f07"), [""; 0]);
}

#[test]
fn a_volume_of_every_kind_made_a_moment_ago_has_not_changed() {
    let (from, to) = (Place::new(), Place::new());
    furnish(&from.root());
    let mut pair = Pair::passing(&from.root(), &to.root(), (2, Mode::Auto), Pass::Cutover);
    let settled = pair.copy();
    expect_equal(&settled, &from.root(), &to.root());
    assert_eq!(pair.from.count(ItemClass::Changed), 0, "{:?}", pair.from.items);
    let counters = pair.source.counters();
    assert_eq!(counters.get(Counter::EntriesRechecked), counters.get(Counter::EntriesDone));
}

/// The clock that stamps ctimes moves every few milliseconds only.
#[test]
fn a_volume_made_within_the_clocks_last_tick_has_not_changed() {
    for _ in 0..20 {
        let (from, to) = (Place::new(), Place::new());
        let mut pair = Pair::passing(&from.root(), &to.root(), (1, Mode::None), Pass::Cutover);
        (0..20).for_each(|n| fs::write(from.root().join(format!("f{n}")), b"x").unwrap());
        pair.copy();
        assert_eq!(pair.from.items, []);
    }
}

#[test]
fn a_session_that_is_closed_before_its_closing_walk_ends() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("f"), noise(1, 900)).unwrap();
    let pair = Pair::passing(&from.root(), &to.root(), (1, Mode::None), Pass::Cutover);
    // Without a lane nothing is ever acknowledged: the scanning thread waits.
    pair.attach_index();
    while pair.scanned() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    let counters = pair.source.counters();
    drop(pair);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while Arc::strong_count(&counters) > 1 {
        assert!(std::time::Instant::now() < deadline, "a thread still holds the session");
        thread::sleep(Duration::from_millis(20));
    }
}
