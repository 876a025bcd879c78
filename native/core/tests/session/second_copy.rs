//! Copies onto targets that hold data already: what is the same stays, what is not is replaced.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use pvferry_core::fs::stat::Timestamp;
use pvferry_core::target::Comparison;

use super::pair::{Pair, Settled, roots};
use super::volumes::{Place, furnish, noise};

const BY_TIME: Comparison = Comparison { digests: false, racy_from: None };

/// Copies `from` onto `to` twice, with `change` in between; the second copy, and both volumes are equal after it.
#[track_caller]
fn copied_again(from: &Place, to: &Place, comparison: Comparison, change: impl FnOnce(&Path)) -> Settled {
    let (from, to) = (from.root(), to.root());
    Pair::open(&from, &to, 2).copy();
    change(&from);
    again(&from, &to, comparison)
}

#[track_caller]
fn again(from: &Path, to: &Path, comparison: Comparison) -> Settled {
    let mut pair = Pair::comparing(from, to, 2, comparison);
    let settled = pair.copy();
    assert_eq!((&pair.from.items, &pair.to.items), (&Vec::new(), &Vec::new()));
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(settled.source.entries, settled.target.entries);
    assert_eq!(settled.source.moved_bytes, settled.target.moved_bytes);
    assert_eq!((settled.source.assumed, settled.source.compared), (settled.target.assumed, settled.target.compared));
    assert_eq!(roots(from), roots(to), "the volumes differ");
    settled
}

fn shell(root: &Path, script: &str) {
    let status = Command::new("bash").args(["-ec", script]).current_dir(root).status().unwrap();
    assert!(status.success(), "{script}");
}

fn furnished() -> (Place, Place) {
    let (from, to) = (Place::new(), Place::new());
    furnish(&from.root());
    (from, to)
}

#[test]
fn what_is_unchanged_is_neither_sent_nor_touched() {
    let (from, to) = furnished();
    let change_times = |root: &Path| {
        let out = Command::new("find").args([".", "-printf", "%P %C@ %i\n"]).current_dir(root).output().unwrap();
        String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with(' '))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    Pair::open(&from.root(), &to.root(), 2).copy();
    let before = change_times(&to.root());
    let second = again(&from.root(), &to.root(), BY_TIME);
    assert_eq!(second.source.moved_bytes, 0);
    assert_eq!(second.source.assumed, second.source.entries.files);
    assert_eq!(change_times(&to.root()), before, "something was touched");
}

#[test]
fn changed_files_are_replaced_and_others_stay() {
    let (from, to) = furnished();
    let second = copied_again(&from, &to, BY_TIME, |root| {
        fs::write(root.join("text"), noise(7, 900_000)).unwrap();
        fs::write(root.join("a/b/file-3"), "short").unwrap();
        fs::write(root.join("large-1"), "small now").unwrap();
        fs::write(root.join("a/b/file-4"), noise(8, 700_000)).unwrap();
        fs::write(root.join("new"), "new").unwrap();
        fs::create_dir(root.join("new-folder")).unwrap();
        fs::write(root.join("new-folder/x"), "x").unwrap();
    });
    assert_eq!(second.source.moved_bytes, 900_000 + 5 + 9 + 700_000 + 3 + 1);
    assert_eq!(second.source.assumed, second.source.entries.files - 6);
}

#[test]
fn attributes_alone_move_no_data() {
    let (from, to) = furnished();
    let second = copied_again(&from, &to, BY_TIME, |root| {
        shell(
            root,
            "chmod 0600 text; chown 5:6 a/b/file-1; setfattr -n user.k -v v large-0; setfacl -m u:77:r a/b/file-2
             chmod 4755 a/b/file-5; chown -h 9:9 a/absolute; chmod 0700 empty; setfacl -d -m u:5:rwx a/b
             chmod 0644 a/null; setfattr -n user.d -v d links; chown 1:2 links/small; chmod 0711 .",
        );
    });
    assert_eq!(second.source.moved_bytes, 0);
    let third = copied_again_only(&from, &to, "setfattr -x user.k large-0; setfacl -b a/b/file-2; setfacl -k a/b");
    assert_eq!(third.source.moved_bytes, 0);
}

#[track_caller]
fn copied_again_only(from: &Place, to: &Place, script: &str) -> Settled {
    shell(&from.root(), script);
    again(&from.root(), &to.root(), BY_TIME)
}

#[test]
fn every_change_of_type_is_right_in_both_directions() {
    let kinds = [
        ("file", "echo data > x"),
        ("large file", "head -c 700000 /dev/urandom > x"),
        ("directory", "mkdir -p x/y/z; echo data > x/y/f; ln -s q x/l"),
        ("symlink", "ln -s somewhere x"),
        ("FIFO", "mkfifo x"),
        ("device", "mknod x c 1 3"),
    ];
    for (before, make_before) in kinds {
        for (after, make_after) in kinds {
            let (from, to) = (Place::new(), Place::new());
            shell(&from.root(), make_before);
            Pair::open(&from.root(), &to.root(), 1).copy();
            shell(&from.root(), &format!("rm -rf x; {make_after}"));
            let mut pair = Pair::comparing(&from.root(), &to.root(), 1, BY_TIME);
            let settled = pair.copy();
            assert_eq!(settled.source.roots, settled.target.roots, "{before} to {after}");
            assert_eq!(roots(&from.root()), roots(&to.root()), "{before} to {after}");
        }
    }
}

#[test]
fn links_are_made_and_broken_and_joined_otherwise() {
    let (from, to) = (Place::new(), Place::new());
    shell(&from.root(), "echo one > a; ln a b; ln a c; echo two > d; echo one > e; touch -r a e; mkfifo p; ln p q");
    let scripts = [
        // A name of its own with the same bytes and time.
        "cp -p a t; mv t c",
        // Joined with another, equal file; a FIFO's names parted.
        "ln -f e c; rm q; mkfifo q",
        // Parted and joined the other way round.
        "rm b c; ln d b; ln a c",
        "chmod 0600 a; ln -f a e",
    ];
    Pair::open(&from.root(), &to.root(), 2).copy();
    for script in scripts {
        copied_again_only(&from, &to, script);
    }
}

#[test]
fn files_of_a_doubtful_time_are_compared_by_their_bytes() {
    let (from, to) = furnished();
    let doubtful = Comparison { racy_from: Some(Timestamp { seconds: 0, nanoseconds: 0 }), ..BY_TIME };
    let changed = |root: &Path| {
        // Same size, same time, other bytes: in a small, a large and a sparse file.
        for (name, at) in [("a/b/file-9", 100), ("large-3", 4_000_000), ("sparse", 1_600_000_000)] {
            let path = root.join(name);
            let stat = fs::metadata(&path).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(b"#", at).unwrap();
            file.set_modified(stat.modified().unwrap()).unwrap();
        }
    };
    let second = copied_again(&from, &to, doubtful, changed);
    assert_eq!(second.source.compared + second.source.assumed, second.source.entries.files - 3);
    assert!(second.source.compared > 60, "{}", second.source.compared);
    let third = again(&from.root(), &to.root(), doubtful);
    assert_eq!(third.source.moved_bytes, 0);
    let digests = Comparison { digests: true, ..BY_TIME };
    let fourth = again(&from.root(), &to.root(), digests);
    assert_eq!((fourth.source.moved_bytes, fourth.source.assumed), (0, 0));
    // Everything was read: the roots are those of the volumes.
    assert_eq!(fourth.source.roots, roots(&from.root()));
}

#[test]
fn an_interrupted_copy_goes_on_where_it_was() {
    let (from, to) = furnished();
    // What a kill leaves: a file without its time, one half written, and a part.
    Pair::open(&from.root(), &to.root(), 2).copy();
    shell(
        &to.root(),
        "touch a/b/file-1; truncate -s 10 a/b/file-2; rm -r empty; mkdir -p .pvferry/parts; echo > .pvferry/parts/17",
    );
    let second = again(&from.root(), &to.root(), BY_TIME);
    assert_eq!(second.source.moved_bytes, 700 + 1_400);
    assert!(!to.root().join(".pvferry").exists());
}

#[test]
fn what_the_source_no_longer_has_goes_and_nothing_else() {
    let (from, to) = furnished();
    let second = copied_again(&from, &to, BY_TIME, |root| {
        shell(root, "rm -r a/b links/small large-0 sparse; rmdir empty; mv text moved");
    });
    // a/b with c and 60 files, of which one has two names elsewhere; the link; two files; a folder; the old name.
    assert_eq!(second.target.deleted, 62 + 1 + 2 + 1 + 1);
    to.expect_canary();
    assert_eq!(again(&from.root(), &to.root(), BY_TIME).target.deleted, 0);
}

#[test]
fn an_empty_source_is_not_mirrored() {
    let (from, to) = furnished();
    let empty = Place::new();
    Pair::open(&from.root(), &to.root(), 2).copy();
    let before = roots(&to.root());
    let mut pair = Pair::comparing(&empty.root(), &to.root(), 1, BY_TIME);
    pair.attach_index();
    pair.attach_lanes();
    let error = pair.to.failure();
    assert!(error.message.contains("--allow-empty-source"), "{}", error.message);
    drop(pair);
    fs::remove_dir_all(to.root().join(".pvferry")).unwrap();
    assert_eq!(roots(&to.root()).content, before.content);
}
