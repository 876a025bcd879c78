//! Rules that exclude: on the source nothing is read of it, on the target nothing happens to it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use pvferry_core::error::ErrorKind;
use pvferry_core::session::item::{Item, ItemClass};
use pvferry_core::target::extras::MaxDelete;
use pvferry_core::target::{Comparison, Existing, TargetConfig};
use pvferry_core::wire::index::Body;

use super::pair::{Pair, Settled, filter, filtered_roots};
use super::rogue::{Bench, plain};
use super::volumes::{Place, names};

/// Files by path, each with its path as contents; a path that ends with `/` is a folder.
fn make(root: &Path, paths: &[&str]) {
    for path in paths {
        let full = root.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        if path.ends_with('/') { fs::create_dir_all(full) } else { fs::write(full, path) }.unwrap();
    }
}

fn places(source: &[&str], target: &[&str]) -> (Place, Place) {
    let (from, to) = (Place::new(), Place::new());
    make(&from.root(), source);
    make(&to.root(), target);
    (from, to)
}

struct Copied {
    settled: Settled,
    items: Vec<(ItemClass, String, String)>,
}

/// Mirrors with these rules; the items of both sides.
#[track_caller]
fn mirror(from: &Place, to: &Place, rules: &[&str], change: impl FnOnce(&mut TargetConfig)) -> Copied {
    let mut pair = Pair::filtered(&from.root(), &to.root(), rules, change);
    let settled = pair.copy();
    let told = |item: &Item| (item.class, String::from_utf8_lossy(&item.path).into_owned(), item.what.clone());
    let mut items: Vec<_> = pair.from.items.iter().filter(|item| item.side as u8 == 1).map(told).collect();
    items.extend(pair.to.items.iter().filter(|item| item.side as u8 == 2).map(told));
    items.sort();
    Copied { settled, items }
}

fn found(place: &Place) -> Vec<String> {
    fn collect(path: &Path, root: &Path, out: &mut Vec<String>) {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let below = entry.path();
            out.push(below.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            if entry.file_type().unwrap().is_dir() {
                collect(&below, root, out);
            }
        }
    }
    let mut out = Vec::new();
    collect(&place.root(), &place.root(), &mut out);
    out.sort();
    out
}

#[test]
fn what_is_excluded_is_neither_sent_nor_counted() {
    let (from, to) = places(&["a", "a.tmp", "cache/x/y", "cache/z", "d/a.tmp", "d/keep.tmp", "d/cache", "e/top"], &[]);
    let root = from.root();
    for odd in [&b"odd\xff.tmp"[..], b"two\nlines.tmp", b"kept\xff\n"] {
        fs::write(root.join(OsStr::from_bytes(odd)), odd).unwrap();
    }
    symlink("a", root.join("link.tmp")).unwrap();
    symlink("cache", root.join("d/cache-link")).unwrap();
    let rules = ["*.tmp", "!keep.tmp", "cache/", "/top"];
    let Copied { settled, items } = mirror(&from, &to, &rules, |_| ());
    assert_eq!(items, []);
    assert_eq!(found(&to), ["a", "d", "d/cache", "d/cache-link", "d/keep.tmp", "e", "e/top", "kept\u{fffd}\n"]);
    // a.tmp, cache, d/a.tmp, two odd ones, link.tmp; what is in cache was not looked at.
    assert_eq!((settled.source.excluded, settled.target.excluded), (6, 0));
    assert_eq!(settled.source.entries, settled.target.entries);
    assert_eq!(settled.source.entries.files, 5);
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(settled.source.roots, filtered_roots(&root, &rules));
    assert_eq!(settled.target.roots, filtered_roots(&to.root(), &[]));
}

#[test]
fn what_is_excluded_on_the_target_stays_as_it_is() {
    let extra = ["old/x", "old/sub/y", "old/sub/deep/z.tmp", "gone/file", "both/x", "cache/a", "a.tmp", "both/b.tmp"];
    let (from, to) = places(&["both/new", "cache/other", "a.tmp"], &extra);
    let old = to.root().join("old");
    let ino = |name: &str| fs::metadata(to.root().join(name)).unwrap().ino();
    let kept = ["cache", "cache/a", "a.tmp", "both/b.tmp", "old/sub/deep/z.tmp"];
    let before: Vec<_> = kept.iter().map(|path| (fs::read(to.root().join(path)).ok(), ino(path))).collect();
    let times: Vec<_> =
        ["", "sub", "sub/deep"].iter().map(|path| fs::metadata(old.join(path)).unwrap().mtime_nsec()).collect();
    let Copied { settled, items } = mirror(&from, &to, &["cache/", "*.tmp"], |_| ());
    let left = [
        "a.tmp",
        "both",
        "both/b.tmp",
        "both/new",
        "cache",
        "cache/a",
        "old",
        "old/sub",
        "old/sub/deep",
        "old/sub/deep/z.tmp",
    ];
    assert_eq!(found(&to), left);
    let after: Vec<_> = kept.iter().map(|path| (fs::read(to.root().join(path)).ok(), ino(path))).collect();
    assert_eq!(after, before);
    let now: Vec<_> =
        ["", "sub", "sub/deep"].iter().map(|path| fs::metadata(old.join(path)).unwrap().mtime_nsec()).collect();
    assert_eq!(now, times);
    // old/x, old/sub/y, gone/file, gone, both/x
    assert_eq!(settled.target.deleted, 5);
    assert_eq!(settled.target.excluded, 4);
    assert_eq!(items, [(ItemClass::Skipped, "old".to_owned(), "extra directory".to_owned())]);
    assert_eq!(settled.source.roots, settled.target.roots);
}

/// Nothing takes the place of what is excluded, nor of what holds it; everything else is copied.
#[test]
fn nothing_takes_the_place_of_what_is_excluded() {
    let source = ["file-for-folder", "only-folders", "folder-for-file/x", "link-for-folder", "fine"];
    let target = [
        "file-for-folder/sub/a.tmp",
        "file-for-folder/b",
        "only-folders/x",
        "folder-for-file",
        "fine/x/y",
        "link-for-folder/c.tmp",
    ];
    let (from, to) = places(&source, &target);
    fs::remove_file(from.root().join("link-for-folder")).unwrap();
    symlink("fine", from.root().join("link-for-folder")).unwrap();
    let rules = ["*.tmp", "only-folders/", "folder-for-file", "!folder-for-file/"];
    let before = found(&to);
    let Copied { settled, items } = mirror(&from, &to, &rules, |_| ());
    let after: Vec<_> = before.into_iter().filter(|path| !path.starts_with("fine/")).collect();
    assert_eq!(found(&to), after);
    assert_eq!(fs::read(to.root().join("fine")).unwrap(), b"fine");
    let item = |class, path: &str, what: &str| (class, path.to_owned(), what.to_owned());
    assert_eq!(
        items,
        [
            item(ItemClass::NotWritten, "file-for-folder", "data"),
            item(ItemClass::NotWritten, "folder-for-file", "directory"),
            item(ItemClass::NotWritten, "link-for-folder", "symlink"),
            item(ItemClass::NotWritten, "only-folders", "data"),
            item(ItemClass::Skipped, "file-for-folder/sub/a.tmp", "excluded"),
            item(ItemClass::Skipped, "folder-for-file", "excluded"),
            item(ItemClass::Skipped, "link-for-folder/c.tmp", "excluded"),
            item(ItemClass::Skipped, "only-folders", "excluded"),
        ]
    );
    assert_eq!(settled.target.deleted, 0);
}

/// Ten entries are the target's own to lose; what is excluded is none of them.
#[test]
fn the_share_that_may_be_removed_does_not_count_what_is_excluded() {
    let extra =
        ["d/1", "d/2", "d/3", "d/sub/4", "k1", "k2", "k3", "k4", "a.tmp", "b.tmp", "c.tmp", "d/e.tmp", "cache/1"];
    let source = ["d/", "k1", "k2", "k3", "k4"];
    let limited = |limit: u32| move |config: &mut TargetConfig| config.max_delete = MaxDelete::Share(limit);
    let (from, to) = places(&source, &extra);
    let mut pair = Pair::filtered(&from.root(), &to.root(), &["*.tmp", "cache"], limited(4_999));
    pair.attach_index();
    pair.attach_lanes();
    let error = pair.to.failure();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("5 entries") && error.message.contains("(4 of 10)"), "{}", error.message);
    drop(pair);
    let Copied { settled, .. } = mirror(&from, &to, &["*.tmp", "cache"], limited(5_000));
    assert_eq!((settled.target.deleted, settled.target.excluded), (5, 5));
}

#[test]
fn a_source_of_which_nothing_is_left_is_an_empty_one() {
    let (from, to) = places(&["a", "b"], &["old"]);
    let mut pair = Pair::filtered(&from.root(), &to.root(), &["[ab]"], |_| ());
    pair.attach_index();
    pair.attach_lanes();
    assert_eq!(pair.to.failure().kind, ErrorKind::Limit);
    drop(pair);
    assert_eq!(found(&to), [".pvferry", ".pvferry/journal", ".pvferry/lock", ".pvferry/parts", "old"]);
}

/// Of an inode's names the excluded ones are not there; the target's own excluded names keep their inode.
#[test]
fn links_between_excluded_names_and_others() {
    let (from, to) = places(&["a", "one"], &["b", "one"]);
    let link = |place: &Place, old: &str, new: &str| {
        fs::hard_link(place.root().join(old), place.root().join(new)).unwrap();
    };
    link(&from, "a", "b");
    link(&from, "a", "a.tmp");
    link(&from, "one", "one.tmp");
    link(&to, "b", "b.tmp");
    link(&to, "one", "one.tmp");
    let rules = ["*.tmp"];
    for round in 0..2 {
        let Copied { settled, items } = mirror(&from, &to, &rules, |_| ());
        assert_eq!(items, [], "round {round}");
        assert_eq!(settled.source.roots, settled.target.roots);
        assert_eq!(settled.target.roots.metadata, filtered_roots(&to.root(), &rules).metadata);
        assert_eq!(settled.source.entries.hard_links, 1);
        if round == 1 {
            assert_eq!(settled.source.moved_bytes, 0);
        }
    }
    let stat = |name: &str| fs::metadata(to.root().join(name)).unwrap();
    assert_eq!(stat("a").ino(), stat("b").ino());
    assert_ne!(stat("b").ino(), stat("b.tmp").ino());
    assert_eq!(fs::read(to.root().join("b.tmp")).unwrap(), b"b");
}

/// Other rules in a later pass: what is no longer excluded is copied, what is newly excluded stays on the target.
#[test]
fn rules_may_change_from_pass_to_pass() {
    let (from, to) = places(&["a.log", "b.tmp", "c"], &[]);
    mirror(&from, &to, &["*.tmp"], |_| ());
    assert_eq!(found(&to), ["a.log", "c"]);
    fs::write(from.root().join("a.log"), "newer, and longer").unwrap();
    let Copied { settled, .. } = mirror(&from, &to, &["*.log"], |_| ());
    assert_eq!(found(&to), ["a.log", "b.tmp", "c"]);
    assert_eq!(fs::read(to.root().join("a.log")).unwrap(), b"a.log");
    assert_eq!((settled.source.excluded, settled.target.excluded), (1, 1));
}

#[test]
fn without_mirroring_nothing_goes_either() {
    let (from, to) = places(&["new"], &["old", "a.tmp"]);
    let Copied { settled, .. } = mirror(&from, &to, &["*.tmp"], |config| config.existing = Existing::Update);
    assert_eq!(found(&to), ["a.tmp", "new", "old"]);
    assert_eq!((settled.target.deleted, settled.target.excluded), (0, 1));
}

/// A source that announces what it said to leave alone cannot have it replaced.
#[test]
fn a_source_is_held_to_its_rules() {
    for (name, body) in
        [("kept", Body::File { size: 1, link: 0, attributes: Some(plain()) }), ("folder", Body::Directory)]
    {
        let place = Place::new();
        make(&place.root(), &["kept", "folder/x"]);
        let mut bench = Bench::onto(place, |config| {
            config.terms.accept_contents = true;
            config.compare = Some(Comparison::default());
            config.existing = Existing::Mirror;
            config.filter = filter(&["kept", "folder/"]);
        });
        bench.root().entries((0, 0, 0), &[(name.as_bytes(), body)]);
        let error = bench.witness.failure();
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.message.contains("what its rules exclude is announced"), "{}", error.message);
        assert!(
            names(&bench.place.root()).contains(&"kept".to_owned()) && bench.place.root().join("folder/x").exists()
        );
    }
}
