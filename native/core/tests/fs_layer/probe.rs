use pvferry_core::fs::Errno;
use pvferry_core::fs::apply::{Applier, Attributes};
use pvferry_core::fs::fresh::{Fresh, FreshRule};
use pvferry_core::fs::open::Opener;
use pvferry_core::fs::probe::probe;
use pvferry_core::fs::process::ProcessIds;
use pvferry_core::fs::space::{Durability, durability, is_mount_point, space, sync_volume};
use pvferry_core::fs::stat::{Kind, Timestamp, stat_fd};

use crate::bed::{self, fd};

#[test]
fn root_can_keep_everything_on_local_file_systems() {
    bed::each(|bed| {
        if bed.kind == "tmp" {
            return;
        }
        let before = std::fs::read_dir(&bed.path).unwrap().count();
        let root = bed.root();
        let found = probe(&Opener::new(false), fd(&root), &ProcessIds::read().unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(&bed.path).unwrap().count(), before);
        assert!(found.honest && found.sparse && found.mtime_alone);
        assert_eq!(found.time_granularity, 1);
        assert_eq!((found.creation.uid, found.creation.gid, found.creation.group_of_directory), (0, 0, false));
        let all = [
            found.user_xattrs,
            found.trusted_xattrs,
            found.security_xattrs,
            found.acls,
            found.hard_links,
            found.symlinks,
            found.fifos,
            found.devices,
            found.owners,
        ];
        assert_eq!(all, [None; 9], "{}", bed.kind);
    });
}

#[test]
fn what_a_killed_probe_left_does_not_matter() {
    let bed = bed::plain();
    let folder = format!(".pvferry-probe-{}", std::process::id());
    drop(bed.directory(&folder));
    bed.file(&format!("{folder}/file"), b"old");
    bed.file(&format!("{folder}/link"), b"old");
    probe(&Opener::component_wise(false), fd(&bed.root()), &ProcessIds::read().unwrap()).unwrap();
    assert!(!bed.join(&folder).exists());
}

#[test]
fn small_inodes_have_whole_seconds() {
    if !bed::is_root() {
        return bed::left_out("ext4 with small inodes", "mounting needs root");
    }
    // The way ext3 was made: 128-byte inodes have no room for nanoseconds, nor for times after 2038.
    bed::with_ext4_options(&["-I", "128"], |bed| {
        let found = probe(&Opener::new(false), fd(&bed.root()), &ProcessIds::read().unwrap()).unwrap();
        assert_eq!(found.time_granularity, 1_000_000_000);
        let file = bed.file("file", b"");
        let applier = Applier::new(&found, false);
        let stat = stat_fd(fd(&file)).unwrap();
        let fresh = Fresh::of(&stat);
        let lost_at = |seconds, nanoseconds| {
            let mtime = Timestamp { seconds, nanoseconds };
            let wanted = Attributes { mode: stat.mode, mtime, ..Default::default() };
            applier.apply_fd(fd(&file), stat.kind, &wanted, &fresh)
        };
        assert_eq!(lost_at(1_000_000_000, 0), []);
        assert_eq!(lost_at(1_000_000_000, 5)[0].detail, "clamped to 1000000000.000000000");
        assert_eq!(lost_at(1 << 31, 0)[0].detail, "clamped to 2147483647.000000000");
    });
}

#[test]
fn a_read_only_file_system_says_so() {
    bed::with_mount("ext4", "defaults", |bed| {
        let path = bed.path.to_str().unwrap();
        assert!(bed::run("mount", &["-o", "remount,ro", path]));
        let root = bed.root();
        assert!(space(fd(&root)).unwrap().read_only);
        let refused = probe(&Opener::new(false), fd(&root), &ProcessIds::read().unwrap());
        assert_eq!(refused.err(), Some(Errno::ROFS));
    });
}

#[test]
fn file_systems_have_names_and_room() {
    bed::each(|bed| {
        let root = bed.root();
        let found = space(fd(&root)).unwrap();
        assert!(!found.read_only);
        assert!(found.free_bytes > 0 && found.free_bytes <= found.total_bytes);
        sync_volume(fd(&root)).unwrap();
        if bed.kind == "tmp" {
            assert_eq!(is_mount_point(&bed.path), Ok(false));
            return;
        }
        assert_eq!(found.filesystem, bed.kind);
        assert_eq!(durability(&found.filesystem), Durability::Syncfs);
        assert_eq!(is_mount_point(&bed.path), Ok(true));
        std::fs::create_dir(bed.join("below")).unwrap();
        assert_eq!(is_mount_point(&bed.join("below")), Ok(false));
        a_directory_mounted_by_itself_is_no_mount_point(bed);
        assert!(found.total_inodes >= found.free_inodes);
        assert_eq!(found.total_inodes == 0, bed.kind == "btrfs");
    });
    assert_eq!(is_mount_point(std::path::Path::new("/")), Ok(true));
}

/// Its file system may hold far more than the directory does, so that what is used there is not what has to be moved.
fn a_directory_mounted_by_itself_is_no_mount_point(bed: &bed::Bed) {
    let bound = bed.join("bound");
    std::fs::create_dir(&bound).unwrap();
    let (below, at) = (bed.join("below"), bound.display().to_string());
    assert!(bed::run("mount", &["--bind", &below.display().to_string(), &at]));
    let found = is_mount_point(&bound);
    bed::unmount(&bound);
    assert_eq!(found, Ok(false));
}

/// FUSE file systems may accept chown and chmod and do nothing.
#[test]
fn a_file_system_that_lies_is_found_out() {
    bed::with_mount("fuse", "--chown-ignore --chgrp-ignore --chmod-ignore", |bed| {
        let root = bed.root();
        let opener = Opener::new(false);
        let found = probe(&opener, fd(&root), &ProcessIds::read().unwrap()).unwrap();
        assert!(!found.honest && !found.mtime_alone);
        assert_eq!(found.time_granularity, 1);
        assert_eq!(found.owners, Some(Errno::OPNOTSUPP));
        let facts = space(fd(&root)).unwrap();
        assert!(matches!(durability(&facts.filesystem), Durability::FsyncEach(_)), "{}", facts.filesystem);

        let rule = FreshRule::of(fd(&root), &found.creation).unwrap();
        let file = opener.create_file(fd(&root), b"file", 0o644).unwrap();
        let wanted = Attributes { mode: 0o4600, uid: 5, gid: 6, ..Attributes::default() };
        let lost = Applier::new(&found, false).apply_fd(fd(&file), Kind::File, &wanted, &rule.file(0o644));
        let what: Vec<_> = lost.iter().map(|lost| (lost.what.as_str(), lost.detail.as_str())).collect();
        let expected = [
            ("owner", "the file system made it 0"),
            ("group", "the file system made it 0"),
            ("mode", "setuid left out, the owner is another one"),
            ("mode", "the file system made it 0644"),
        ];
        assert_eq!(what, expected);
    });
}

/// Root may fill what ext4 keeps for root; it is not filled until then. Judged by stat(1).
#[test]
fn the_reserve_of_ext4_is_free_for_root_and_used_by_nobody() {
    bed::with_ext4_options(&["-m", "20"], |bed| {
        let out = std::process::Command::new("stat").args(["-f", "-c", "%S %b %f %a"]).arg(&bed.path).output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [unit, blocks, free, available] = numbers[..] else { panic!("{text}") };
        assert!(free > available + blocks / 10, "{text}");
        let space = space(fd(&bed.root())).unwrap();
        assert_eq!(
            (space.total_bytes, space.free_bytes, space.used_bytes),
            (blocks * unit, free * unit, (blocks - free) * unit,)
        );
    });
}
