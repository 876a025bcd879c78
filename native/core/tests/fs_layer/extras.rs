//! What the target holds and the source does not, and how it goes.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use pvferry_core::error::{CoreError, ErrorKind};
use pvferry_core::fs::directory_path::{DirectoryNode, path_bytes};
use pvferry_core::fs::make;
use pvferry_core::fs::open::Opener;
use pvferry_core::fs::process::ProcessIds;
use pvferry_core::fs::stat::{Kind, stat_at};
use pvferry_core::session::item::ItemClass;
use pvferry_core::target::extras::{Extras, MaxDelete};

use crate::bed::{self, Bed, fd};
use crate::directories::chain;
use crate::ground::{Ground, folder};

fn ground(bed: &Bed) -> Ground {
    Ground::new(bed, &ProcessIds::read().unwrap())
}

pub(crate) fn extras(bed: &Bed, limit: MaxDelete) -> Extras {
    Extras::new(folder(bed), Opener::new(false), limit)
}

fn add(extras: &Extras, node: &Arc<DirectoryNode>, names: &[&str]) {
    extras.add(node, names.iter().map(|name| name.as_bytes())).unwrap();
}

fn directories(bed: &Bed, paths: &[&str]) {
    paths.iter().for_each(|path| std::fs::create_dir_all(bed.join(path)).unwrap());
}

/// All that `find` sees below the bed, but for our own folder.
fn found(bed: &Bed) -> Vec<String> {
    let arguments = [".", "-mindepth", "1", "-not", "-path", "./.pvferry*", "-not", "-path", "./lost+found"];
    let output = std::process::Command::new("find").current_dir(&bed.path).args(arguments).output().unwrap();
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn set_time(path: &Path, nanoseconds: u32) {
    let time = UNIX_EPOCH + Duration::new(1_500_000_000, nanoseconds);
    std::fs::File::open(path).unwrap().set_modified(time).unwrap();
}

fn time(path: &Path) -> (i64, i64) {
    let stat = std::fs::symlink_metadata(path).unwrap();
    (stat.mtime(), stat.mtime_nsec())
}

#[test]
fn extra_entries_go_and_directories_keep_their_times() {
    bed::each(|bed| {
        let ground = ground(bed);
        let outside = bed::plain();
        outside.file("precious", b"x");
        directories(bed, &["kept/below", "kept/extra/deep/deeper", "other"]);
        let root = bed.root();
        for name in ["kept/file", "kept/below/file", "kept/extra/file", "kept/extra/deep/file", "other/file", "top"] {
            bed.file(name, b"x");
        }
        symlink(&outside.path, bed.join("kept/link")).unwrap();
        symlink(&outside.path, bed.join("kept/extra/link")).unwrap();
        make::node(fd(&root), b"fifo", Kind::Fifo, 0, (0, 0)).unwrap();
        let odd = b"\xff\n \\\x01*".as_slice();
        rustix::fs::symlinkat("x", &root, odd).unwrap();
        for (path, nanoseconds) in [("kept", 1), ("kept/below", 2), ("other", 3), ("", 4)] {
            set_time(&bed.join(path), nanoseconds);
        }
        let extras = extras(bed, MaxDelete::Unlimited);
        assert!(extras.is_empty());
        add(&extras, &ground.node("kept"), &["extra", "link", "vanished"]);
        add(&extras, &ground.root, &["fifo", ".pvferry", "lost+found"]);
        extras.add(&ground.root, [odd]).unwrap();
        add(&extras, &ground.node("kept/below"), &[]);
        assert!(!extras.is_empty());
        assert_eq!(ground.remove_all(&extras), Ok(9));
        assert_eq!(ground.deleted(), 9);
        assert_eq!(ground.items(), []);
        let left = ["./kept", "./kept/below", "./kept/below/file", "./kept/file", "./other", "./other/file", "./top"];
        assert_eq!(found(bed), left);
        assert!(bed.join(".pvferry").is_dir() && outside.join("precious").exists());
        let times = ["kept", "kept/below", "other", ""].map(|path| time(&bed.join(path)));
        assert_eq!(times, [1, 2, 3, 4].map(|nanoseconds| (1_500_000_000, nanoseconds)));
        assert!(extras.is_empty());
        assert_eq!(ground.remove_all(&extras), Ok(0));
    });
}

/// A directory with ten files of which four are extra, one of them a directory with two entries: six entries.
fn limited(limit: MaxDelete) -> (Bed, Ground, Extras) {
    let bed = bed::plain();
    let ground = ground(&bed);
    directories(&bed, &["d/extra"]);
    for name in ["d/a", "d/b", "d/c", "d/extra/1", "d/extra/2", "d/k", "d/l", "d/m", "d/n"] {
        bed.file(name, b"");
    }
    let extras = extras(&bed, limit);
    extras.listed(1);
    extras.listed(8);
    add(&extras, &ground.node("d"), &["a", "b", "c", "extra"]);
    (bed, ground, extras)
}

#[test]
fn more_than_the_limit_removes_nothing() {
    // The target has eleven entries; 55 % of them are six.
    for limit in [MaxDelete::Entries(6), MaxDelete::Share(5_455)] {
        let (bed, ground, extras) = limited(limit);
        assert_eq!(ground.remove_all(&extras), Ok(6));
        assert_eq!(found(&bed), ["./d", "./d/k", "./d/l", "./d/m", "./d/n"]);
    }
    for (limit, words) in [
        (MaxDelete::Entries(5), "6 entries that the source does not have, and --max-delete 5 "),
        (MaxDelete::Share(5_454), "--max-delete 54.54% allows fewer to be removed (5 of 11): nothing was removed."),
        (MaxDelete::Entries(0), "--max-delete 0 "),
    ] {
        let (bed, ground, extras) = limited(limit);
        let before = found(&bed);
        let error = ground.remove_all(&extras).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit);
        assert!(error.message.contains(words), "{}", error.message);
        assert_eq!(found(&bed), before);
        assert_eq!(ground.deleted(), 0);
    }
}

#[test]
fn each_entry_that_cannot_go_is_an_item_and_the_others_go() {
    bed::with_mount("ext4", "defaults", |bed| {
        let ground = ground(bed);
        directories(bed, &["d/extra/deep", "d/frozen/below"]);
        for name in ["d/fixed", "d/extra/deep/fixed", "d/extra/deep/loose", "d/extra/loose", "d/loose", "d/frozen/f"] {
            bed.file(name, b"");
        }
        let fixed = ["d/fixed", "d/extra/deep/fixed", "d/frozen"].map(|name| bed.join(name));
        let fixed: Vec<&str> = fixed.iter().map(|path| path.to_str().unwrap()).collect();
        set_time(&bed.join("d/extra/deep"), 5);
        set_time(&bed.join("d/extra"), 6);
        set_time(&bed.join("d"), 7);
        assert!(bed::run("chattr", &[&["+i"], &fixed[..]].concat()));
        let extras = extras(bed, MaxDelete::Unlimited);
        add(&extras, &ground.node("d"), &["extra", "fixed", "frozen", "loose"]);
        let removed = ground.remove_all(&extras);
        assert!(bed::run("chattr", &[&["-i"], &fixed[..]].concat()));
        assert_eq!((removed, ground.deleted()), (Ok(3), 3));
        let item = |path: &str| (ItemClass::NotKept, path.to_owned(), "extra entry".to_owned(), "EPERM");
        let mut items = ground.items();
        items.sort();
        assert_eq!(items, ["d/extra/deep/fixed", "d/fixed", "d/frozen"].map(item));
        let left = ["./d", "./d/extra", "./d/extra/deep", "./d/extra/deep/fixed", "./d/fixed", "./d/frozen"];
        assert_eq!(found(bed)[..6], left);
        let times = ["d/extra/deep", "d/extra", "d"].map(|path| time(&bed.join(path)).1);
        assert_eq!(times, [5, 6, 7]);
    });
}

#[test]
fn what_is_mounted_beneath_an_extra_directory_stays() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let ground = ground(bed);
        directories(bed, &["d/extra/mounted", "d/mounted", "d/extra/empty", "origin"]);
        for name in ["origin/file", "d/file", "d/extra/loose"] {
            bed.file(name, b"");
        }
        let bind = |from: &str, to: &str| {
            let (from, to) = (bed.join(from), bed.join(to));
            assert!(bed::run("mount", &["--bind", from.to_str().unwrap(), to.to_str().unwrap()]));
        };
        bind("origin", "d/extra/mounted");
        bind("origin", "d/mounted");
        bind("origin/file", "d/file");
        // What stays is not counted: d/extra/empty and d/extra/loose are two.
        let extras = extras(bed, MaxDelete::Entries(2));
        add(&extras, &ground.node("d"), &["extra", "file", "mounted"]);
        let removed = ground.remove_all(&extras);
        let left = found(bed);
        for point in ["d/extra/mounted", "d/mounted", "d/file"] {
            bed::unmount(&bed.join(point));
        }
        assert_eq!(removed, Ok(2));
        let item = |path: &str| (ItemClass::Skipped, path.to_owned(), "mount point".to_owned(), "");
        let mut items = ground.items();
        items.sort();
        assert_eq!(items, ["d/extra/mounted", "d/file", "d/mounted"].map(item));
        assert!(left.contains(&"./d/extra/mounted/file".to_owned()) && bed.join("origin/file").exists(), "{left:?}");
        assert!(!left.contains(&"./d/extra/loose".to_owned()), "{left:?}");
    });
}

#[test]
fn two_hundred_thousand_names_are_held_on_disk() {
    const DIRECTORIES: usize = 20;
    const NAMES: usize = 10_000;
    let bed = bed::quick();
    let ground = ground(&bed);
    let nodes: Vec<_> = (0..DIRECTORIES)
        .map(|number| {
            let path = format!("d{}/e{number}", number % 3);
            std::fs::create_dir_all(bed.join(&path)).unwrap();
            let node = ground.node(&path);
            let directory = ground.directories.descriptor(&node).unwrap();
            for name in 0..NAMES {
                make::symlink(fd(&*directory), format!("entry-{name}").as_bytes(), b"x").unwrap();
            }
            node
        })
        .collect();
    bed.file("d0/kept", b"");
    let extras = extras(&bed, MaxDelete::Entries((DIRECTORIES * NAMES) as u64));
    let names: Vec<Vec<u8>> = (0..NAMES).map(|name| format!("entry-{name}").into_bytes()).collect();
    std::thread::scope(|scope| {
        for part in nodes.chunks(DIRECTORIES / 4) {
            let (extras, names) = (&extras, &names);
            scope.spawn(move || {
                part.iter().for_each(|node| extras.add(node, names.iter().map(Vec::as_slice)).unwrap());
            });
        }
    });
    let spilled = std::fs::metadata(bed.join(".pvferry/extras")).unwrap();
    let all = DIRECTORIES * names.iter().map(|name| name.len() + 2).sum::<usize>();
    // What is not there is in memory.
    assert!(spilled.len() as usize > all - (128 << 10) && (spilled.len() as usize) < all + 64 * DIRECTORIES, "{all}");
    assert_eq!(spilled.permissions().mode() & 0o777, 0o600);
    assert_eq!(ground.remove_all(&extras), Ok((DIRECTORIES * NAMES) as u64));
    assert!(!bed.join(".pvferry/extras").exists());
    assert_eq!(found(&bed).len(), 3 + DIRECTORIES + 1);
}

#[test]
fn paths_longer_than_the_kernel_takes_are_noted_and_removed() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let ground = ground(bed);
        let nodes = chain(&ground.directories, 600, &[b'n'; 255]);
        let deepest = nodes.last().unwrap();
        assert!(path_bytes(deepest).len() > 100_000);
        let extras = extras(bed, MaxDelete::Entries(1_200));
        // From the deepest upwards, as directories are completed; some have none.
        for node in nodes[1..].iter().rev() {
            let directory = ground.directories.descriptor(node).unwrap();
            make::symlink(fd(&*directory), b"extra", b"x").unwrap();
            if node.depth % 3 != 0 {
                add(&extras, node, &["extra"]);
            }
        }
        assert!(std::fs::metadata(bed.join(".pvferry/extras")).unwrap().len() < 300_000);
        assert_eq!(ground.remove_all(&extras), Ok(400));
        assert_eq!(ground.items(), []);
        for (depth, stays) in [(600, true), (599, false), (598, false), (3, true), (1, false)] {
            let directory = ground.directories.descriptor(&nodes[depth]).unwrap();
            assert_eq!(stat_at(fd(&*directory), b"extra").is_ok(), stays, "{depth}");
        }
        // Beneath an extra directory depth does not matter either.
        extras.add(&ground.root, [[b'n'; 255].as_slice()]).unwrap();
        assert_eq!(ground.remove_all(&extras), Ok(600 + 200));
        assert_eq!(found(bed), [""; 0]);
    });
}

#[test]
fn nothing_is_removed_from_a_directory_that_took_anothers_place() {
    let bed = bed::plain();
    let ground = ground(&bed);
    directories(&bed, &["a/b/c", "elsewhere/b"]);
    for name in ["a/b/extra", "a/b/c/extra", "elsewhere/b/extra"] {
        bed.file(name, b"");
    }
    let extras = extras(&bed, MaxDelete::Unlimited);
    let directory = ground.node("a/b");
    let below = DirectoryNode::child(&directory, b"c");
    ground.directories.descriptor(&below).unwrap();
    // On the way to this one the wrong directory is opened first.
    add(&extras, &below, &["extra"]);
    add(&extras, &directory, &["extra"]);
    add(&extras, &ground.node("a"), &["vanished"]);
    std::fs::rename(bed.join("a/b"), bed.join("moved")).unwrap();
    std::fs::rename(bed.join("elsewhere/b"), bed.join("a/b")).unwrap();
    assert_eq!(ground.remove_all(&extras), Ok(0));
    assert_eq!(ground.items(), [(ItemClass::NotKept, "a/b".to_owned(), "extra entry".to_owned(), "ESTALE")]);
    assert!(bed.join("a/b/extra").exists() && bed.join("moved/c/extra").exists());
}

#[test]
fn removal_ends_when_the_session_does() {
    let (bed, ground, extras) = limited(MaxDelete::Unlimited);
    ground.stop.stop(Some(CoreError::network("The peer is gone.")));
    assert_eq!(ground.remove_all(&extras).unwrap_err().message, "The peer is gone.");
    assert!(bed.join("d/a").exists());
}

#[test]
fn a_damaged_list_removes_nothing_wrong_and_leaves_nothing() {
    let bed = bed::plain();
    let ground = ground(&bed);
    directories(&bed, &["d"]);
    bed.file("d/kept", b"");
    // A list that an earlier try left is not this one's.
    bed.file(".pvferry/extras", b"old");
    let noted = extras(&bed, MaxDelete::Unlimited);
    let names: Vec<Vec<u8>> = (0..10_000).map(|name| format!("vanished-{name}").into_bytes()).collect();
    let note = |extras: &Extras| extras.add(&ground.node("d"), names.iter().map(Vec::as_slice)).unwrap();
    note(&noted);
    let damages =
        [(vec![0xff; 200_000], "damaged"), (vec![0; 64], "damaged"), (b"\0\0\0\x40short".to_vec(), "failed to fill")];
    for (damage, words) in damages {
        std::fs::write(bed.join(".pvferry/extras"), damage).unwrap();
        let error = ground.remove_all(&noted).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Io);
        let start = "The list of extra entries in .pvferry cannot be read: ";
        assert!(error.message.starts_with(start) && error.message.contains(words), "{}", error.message);
        assert!(!bed.join(".pvferry/extras").exists());
        note(&noted);
    }
    drop(noted);
    assert!(!bed.join(".pvferry/extras").exists());
    assert!(bed.join("d/kept").exists());
}
