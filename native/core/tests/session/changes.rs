//! Volumes that do not stand still: files and directories that change, vanish or become something else on the way.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pvferry_core::session::compress::Mode;
use pvferry_core::session::item::ItemClass;
use pvferry_core::wire::frame::FrameType;

use super::pair::{Pair, roots};
use super::relay::{Frame, Hook, Verdict};
use super::volumes::{Place, noise};

/// Does something once, before the first frame of a type passes.
fn once(of: FrameType, act: impl Fn() + Send + Sync + 'static) -> Hook {
    let seen = AtomicU64::new(0);
    Arc::new(move |frame: &mut Frame<'_>| {
        if frame.kind == of && seen.fetch_add(1, Ordering::SeqCst) == 0 {
            act();
        }
        Verdict::Pass
    })
}

fn run(command: &str, at: &Path) {
    assert!(Command::new("sh").args(["-c", command]).current_dir(at).status().unwrap().success(), "{command}");
}

#[test]
fn a_file_that_becomes_something_else_has_vanished() {
    for command in [
        "rm victim && mkfifo victim",
        "rm victim && mknod victim c 1 5",
        "rm victim && ln -s ../outside/canary victim",
        "rm victim && mkdir victim",
        "rm victim",
    ] {
        let (from, to) = (Place::new(), Place::new());
        // Files of the index are announced before the lane exists: what is done then is done in between.
        fs::write(from.root().join("victim"), noise(1, 2_000)).unwrap();
        fs::write(from.root().join("other"), noise(2, 2_000)).unwrap();
        let mut pair = Pair::open(&from.root(), &to.root(), 1);
        pair.attach_index();
        while pair.scanned() < 3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        run(command, &from.root());
        pair.attach_lanes();
        let settled = pair.wait();
        assert_eq!(pair.from.count(ItemClass::Changed), 1, "{command}: {:?}", pair.from.items);
        assert_eq!(pair.from.items.len(), 1, "{command}: {:?}", pair.from.items);
        assert_eq!(settled.source.roots, settled.target.roots, "{command}");
        assert_eq!(settled.target.entries.files, 1);
        assert!(!to.root().join("victim").exists());
        from.expect_canary();
        to.expect_canary();
    }
}

#[test]
fn a_large_file_that_grows_or_shrinks_is_read_again() {
    for command in ["head -c 2000000 /dev/zero >> large", "truncate -s 700000 large", "truncate -s 0 large"] {
        let (from, to) = (Place::new(), Place::new());
        fs::write(from.root().join("large"), noise(1, 6_000_000)).unwrap();
        let root = from.root();
        let hook = once(FrameType::Piece, move || run(command, &root));
        let mut pair = Pair::relayed(&from.root(), &to.root(), 2, Mode::None, hook);
        let settled = pair.copy();
        assert_eq!(settled.source.roots, settled.target.roots, "{command}");
        assert_eq!(settled.target.roots, roots(&to.root()), "{command}");
        assert_eq!(settled.source.roots, roots(&from.root()), "{command}");
        assert_eq!(pair.from.items, [], "{command}");
    }
}

#[test]
fn a_file_that_never_stands_still_is_read_a_bounded_number_of_times() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("large"), noise(1, 2_000_000)).unwrap();
    let root = from.root();
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        if matches!(frame.kind, FrameType::Piece | FrameType::Sums) {
            run("printf more >> large", &root);
        }
        Verdict::Pass
    });
    let mut pair = Pair::relayed(&from.root(), &to.root(), 1, Mode::None, hook);
    let settled = pair.copy();
    assert_eq!(pair.from.count(ItemClass::Changed), 1, "{:?}", pair.from.items);
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(settled.target.roots, roots(&to.root()));
    // By its mtime a later pass has to see that what is there is not what the source has.
    let mtime = |place: &Place| fs::metadata(place.root().join("large")).unwrap().modified().unwrap();
    assert!(mtime(&to) < mtime(&from));
}

#[test]
fn a_directory_swapped_for_a_symlink_is_entered_on_neither_side() {
    // On the source, between its listing and the reading of its files; on the target, before its files are written.
    for swap_source in [true, false] {
        let (from, to) = (Place::new(), Place::new());
        fs::create_dir(from.root().join("d")).unwrap();
        fs::create_dir(from.root().join("d/e")).unwrap();
        fs::write(from.root().join("d/e/canary"), noise(1, 2_000)).unwrap();
        fs::write(from.root().join("d/e/large"), noise(2, 2_000_000)).unwrap();
        let mut pair = Pair::open(&from.root(), &to.root(), 1);
        pair.attach_index();
        while pair.scanned() < 5 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
        let victim = if swap_source { from.root() } else { to.root() };
        fs::rename(victim.join("d"), victim.join("moved")).unwrap();
        symlink(if swap_source { from.outside() } else { to.outside() }, victim.join("d")).unwrap();
        pair.attach_lanes();
        let settled = pair.wait();
        assert_eq!(settled.source.roots.content, settled.target.roots.content);
        from.expect_canary();
        to.expect_canary();
    }
}

#[test]
fn a_tree_that_is_torn_down_while_it_is_copied_ends_with_items() {
    let (from, to) = (Place::new(), Place::new());
    for directory in 0..60 {
        let path = from.root().join(format!("d{directory:02}"));
        fs::create_dir(&path).unwrap();
        (0..40).for_each(|n| fs::write(path.join(format!("f{n}")), noise(n, 900)).unwrap());
    }
    let (root, outside) = (from.root(), from.outside());
    let hook = once(FrameType::Pack, move || {
        (20..40).for_each(|directory| fs::remove_dir_all(root.join(format!("d{directory:02}"))).unwrap());
        for directory in 40..60 {
            let path = root.join(format!("d{directory:02}"));
            fs::remove_dir_all(&path).unwrap();
            symlink(&outside, &path).unwrap();
        }
    });
    let mut pair = Pair::relayed(&from.root(), &to.root(), 1, Mode::None, hook);
    let settled = pair.copy();
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(pair.from.items.len(), pair.from.count(ItemClass::Changed), "{:?}", pair.from.items.first());
    from.expect_canary();
    to.expect_canary();
}
