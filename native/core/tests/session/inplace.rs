//! Large files that are written into themselves: they stay the same inode, and until they are whole the journal calls
//! them torn, whatever their size and times say.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use pvferry_core::session::item::{Item, ItemClass};
use pvferry_core::target::Existing;
use pvferry_core::target::journal::look;
use pvferry_core::wire::frame::FrameType;

use super::pair::{DEADLINE, Pair, roots};
use super::relay::{Frame, Hook, Verdict};
use super::volumes::{Place, noise};

const SIZE: usize = 9_000_001;

/// A volume with one large file, copied once and long ago, every byte of which has changed since.
fn changed() -> (Place, Place) {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("large"), noise(1, SIZE)).unwrap();
    Pair::open(&from.root(), &to.root(), 1).copy();
    fs::write(from.root().join("large"), noise(2, SIZE)).unwrap();
    (from, to)
}

fn pair(from: &Place, to: &Place, inplace: bool, rules: &[&str]) -> Pair {
    Pair::filtered(&from.root(), &to.root(), rules, |config| config.inplace = inplace)
}

fn inode(place: &Place) -> u64 {
    fs::metadata(place.root().join("large")).unwrap().ino()
}

fn torn(place: &Place) -> Vec<Vec<u8>> {
    look(&place.root()).unwrap().map_or(Vec::new(), |look| look.torn.into_iter().map(|torn| torn.path).collect())
}

/// Begins to write the file into itself and ends in the middle of it. The lane dies only when something is written: what
/// it carries is lost with it.
fn tear(from: &Place, to: &Place) {
    let seen = AtomicU64::new(0);
    let written = Arc::new(AtomicBool::new(false));
    let dies = Arc::clone(&written);
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        if frame.kind != FrameType::Patch || seen.fetch_add(1, Ordering::SeqCst) < 6 {
            return Verdict::Pass;
        }
        let deadline = Instant::now() + DEADLINE;
        while !dies.load(Ordering::SeqCst) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        Verdict::Kill
    });
    let pair = pair(from, to, true, &[]).through(hook);
    pair.attach_index();
    let old = noise(1, SIZE);
    pair.attach_lanes();
    let deadline = Instant::now() + DEADLINE;
    while fs::read(to.root().join("large")).unwrap() == old {
        assert!(Instant::now() < deadline, "nothing was written");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(torn(to), [b"large".to_vec()]);
    written.store(true, Ordering::SeqCst);
    pair.source.close();
    pair.target.gone_later()().unwrap();
}

/// As size and time would be, had the file been copied.
fn pretend(from: &Place, to: &Place) {
    let time: SystemTime = from.root().join("large").metadata().unwrap().modified().unwrap();
    File::options().write(true).open(to.root().join("large")).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_changed_file_stays_the_same_inode_and_is_torn_no_more() {
    let (from, to) = changed();
    let before = inode(&to);
    let mut pair = pair(&from, &to, true, &[]);
    pair.copy();
    assert_eq!((&pair.from.items, &pair.to.items), (&Vec::new(), &Vec::new()));
    assert_eq!(roots(&from.root()), roots(&to.root()));
    assert_eq!(inode(&to), before);
    assert_eq!(torn(&to), Vec::<Vec<u8>>::new());
}

#[test]
fn a_file_that_shrank_or_grew_is_right_too() {
    for size in [SIZE / 2, SIZE * 2] {
        let (from, to) = changed();
        let before = inode(&to);
        fs::write(from.root().join("large"), noise(3, size)).unwrap();
        pair(&from, &to, true, &[]).copy();
        assert_eq!(roots(&from.root()), roots(&to.root()));
        assert_eq!(inode(&to), before);
    }
}

#[test]
fn a_torn_file_is_never_taken_for_unchanged() {
    for inplace in [false, true] {
        let (from, to) = changed();
        tear(&from, &to);
        pretend(&from, &to);
        let before = inode(&to);
        let mut pair = pair(&from, &to, inplace, &[]);
        pair.copy();
        assert_eq!(pair.to.items, Vec::new());
        assert_eq!(roots(&from.root()), roots(&to.root()), "the volumes differ");
        assert_eq!(inode(&to) == before, inplace);
        assert_eq!(torn(&to), Vec::<Vec<u8>>::new());
    }
}

#[test]
fn what_is_torn_in_the_end_is_named_and_stays_in_the_journal() {
    let (from, to) = changed();
    tear(&from, &to);
    let mut first = pair(&from, &to, true, &["/large"]);
    first.copy();
    let is_torn =
        |item: &Item| item.class == ItemClass::NotWritten && item.path == b"large" && item.detail.contains("torn");
    assert!(first.to.items.iter().any(is_torn), "{:?}", first.to.items);
    // As if it were the last pass.
    first.target.leave_later()().unwrap();
    assert_eq!(torn(&to), [b"large".to_vec()]);
}

#[test]
fn a_torn_file_that_is_removed_is_torn_no_more() {
    let (from, to) = changed();
    tear(&from, &to);
    fs::remove_file(from.root().join("large")).unwrap();
    fs::write(from.root().join("other"), "x").unwrap();
    let mut pair = Pair::filtered(&from.root(), &to.root(), &[], |config| config.existing = Existing::Mirror);
    pair.copy();
    assert_eq!(pair.to.items, Vec::new());
    assert!(!to.root().join("large").exists());
    assert_eq!(torn(&to), Vec::<Vec<u8>>::new());
}

#[test]
fn another_name_of_a_file_never_changes_under_it() {
    let (from, to) = changed();
    fs::hard_link(to.root().join("large"), to.root().join("other")).unwrap();
    let mut pair = Pair::filtered(&from.root(), &to.root(), &["/other"], |config| config.inplace = true);
    pair.copy();
    assert_eq!(fs::read(to.root().join("other")).unwrap(), noise(1, SIZE));
    assert_eq!(fs::read(to.root().join("large")).unwrap(), noise(2, SIZE));
}

#[test]
fn a_file_that_fails_in_the_middle_keeps_its_name() {
    let (from, to) = changed();
    let seen = AtomicU64::new(0);
    let path = from.root().join("large");
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        if frame.kind == FrameType::Patch && seen.fetch_add(1, Ordering::SeqCst) == 4 {
            // The source goes on reading what it has open, and finds it changed in the end.
            File::options().write(true).open(&path).unwrap().write_all_at(b"changed", 10).unwrap();
        }
        Verdict::Pass
    });
    let before = inode(&to);
    pair(&from, &to, true, &[]).through(hook).copy();
    assert_eq!(inode(&to), before);
    assert_eq!(roots(&from.root()), roots(&to.root()));
}
