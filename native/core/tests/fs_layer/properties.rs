use std::os::unix::fs::{FileExt, MetadataExt, symlink};

use pvferry_core::fs::Errno;
use pvferry_core::fs::extents::{DataRanges, Extents, is_sparse, next_data};
use pvferry_core::fs::flags::{self, FlagReader, Flags};
use pvferry_core::fs::make;
use pvferry_core::fs::stat::{Kind, Stat, read_link, stat_at, stat_fd};

use crate::bed::{self, fd};

#[test]
fn statx_and_stat_agree() {
    bed::each(|bed| {
        let root = bed.root();
        bed.file("file", b"12345");
        symlink("somewhere/else", bed.join("link")).unwrap();
        std::fs::hard_link(bed.join("file"), bed.join("again")).unwrap();
        drop(bed.directory("folder"));
        for (name, kind) in [("file", Kind::File), ("link", Kind::Symlink), ("folder", Kind::Directory)] {
            let stat = stat_at(fd(&root), name.as_bytes()).unwrap();
            let other = std::fs::symlink_metadata(bed.join(name)).unwrap();
            assert_eq!(stat.kind, kind);
            assert_eq!((stat.device, stat.inode), (other.dev(), other.ino()));
            assert_eq!((stat.size, stat.blocks, u64::from(stat.links)), (other.size(), other.blocks(), other.nlink()));
            assert_eq!((stat.mode, stat.uid, stat.gid), (other.mode() & 0o7777, other.uid(), other.gid()));
            assert_eq!((stat.mtime.seconds, i64::from(stat.mtime.nanoseconds)), (other.mtime(), other.mtime_nsec()));
            assert_eq!((stat.ctime.seconds, i64::from(stat.ctime.nanoseconds)), (other.ctime(), other.ctime_nsec()));
            assert_eq!(stat.mount_id, stat_fd(fd(&root)).unwrap().mount_id);
            assert!(stat.mount_id.is_some());
        }
        assert!(stat_at(fd(&root), b"file").unwrap().has_birth_time);
        assert_eq!(read_link(fd(&root), b"link").unwrap().as_ref(), b"somewhere/else");
        assert_eq!(read_link(fd(&root), b"file").err(), Some(Errno::INVAL));
    });
}

#[test]
fn link_texts_of_any_length_and_bytes_are_verbatim() {
    bed::each(|bed| {
        let root = bed.root();
        // XFS holds 1023 bytes, ext4 less than a block, which is 1 KiB here.
        let longest = if ["xfs", "ext4"].contains(&bed.kind) { 1023 } else { 4095 };
        let mut long = vec![b'x'; longest];
        long[7] = b'\n';
        long[8] = 0xff;
        for (name, text) in [(&b"long"[..], &long[..]), (b"dots", b"../..//./"), (b"root", b"/"), (b"self", b"self")] {
            make::symlink(fd(&root), name, text).unwrap();
            assert_eq!(read_link(fd(&root), name).unwrap().as_ref(), text);
            assert_eq!(stat_at(fd(&root), name).unwrap().size, text.len() as u64);
        }
        assert_eq!(make::symlink(fd(&root), b"nul", b"a\0b").err(), Some(Errno::INVAL));
        assert_eq!(make::symlink(fd(&root), b"over", &vec![b'x'; longest + 1]).err(), Some(Errno::NAMETOOLONG));
    });
}

#[test]
fn links_of_links_and_renames() {
    bed::each(|bed| {
        let root = bed.root();
        let root = fd(&root);
        symlink("nowhere", bed.join("link")).unwrap();
        make::hard_link(root, b"link", root, b"same").unwrap();
        let (a, b) = (stat_at(root, b"link").unwrap(), stat_at(root, b"same").unwrap());
        assert_eq!((a.kind, a.inode, a.links), (Kind::Symlink, b.inode, 2));
        make::node(root, b"fifo", Kind::Fifo, 0o600, (0, 0)).unwrap();
        make::hard_link(root, b"fifo", root, b"fifo2").unwrap();
        assert_eq!(make::hard_link(root, b"fifo", root, b"fifo2"), Err(Errno::EXIST));
        bed.file("new", b"new");
        bed.file("old", b"old");
        assert_eq!(make::rename_no_replace(root, b"new", root, b"old"), Err(Errno::EXIST));
        make::rename_no_replace(root, b"new", root, b"newer").unwrap();
        make::rename(root, b"newer", root, b"old").unwrap();
        assert_eq!(std::fs::read(bed.join("old")).unwrap(), b"new");
        assert_eq!(make::node(root, b"x", Kind::File, 0, (0, 0)), Err(Errno::INVAL));
        assert!(matches!(make::unlink(root, b"missing"), Err(Errno::NOENT)));
    });
}

#[test]
fn holes_are_where_they_were_made() {
    const MEGABYTE: u64 = 1 << 20;
    bed::each(|bed| {
        let file = bed.file("sparse", b"");
        file.write_at(&[1; 65_536], 3 * MEGABYTE).unwrap();
        file.write_at(&[1; 65_536], 5 * MEGABYTE).unwrap();
        file.set_len(1 << 40).unwrap();
        let stat = stat_fd(fd(&file)).unwrap();
        assert!(is_sparse(&stat));
        let found: Vec<_> = Extents::new(fd(&file), stat.size).map(Result::unwrap).collect();
        let expected = [(3 * MEGABYTE, 3 * MEGABYTE + 65_536), (5 * MEGABYTE, 5 * MEGABYTE + 65_536)];
        assert_eq!(found, expected, "{}", bed.kind);
        // Cut at the size that is given, and from the middle of a range.
        let mut ranges = DataRanges::new(stat.size);
        for offset in (0..8 * MEGABYTE).step_by(300_000).chain([1 << 39, 5, stat.size, 3 * MEGABYTE, 0]) {
            assert_eq!(ranges.next(fd(&file), offset), next_data(fd(&file), offset, stat.size));
        }
        let cut = next_data(fd(&file), 3 * MEGABYTE + 4096, 3 * MEGABYTE + 8192).unwrap();
        assert_eq!(cut, Some((3 * MEGABYTE + 4096, 3 * MEGABYTE + 8192)));
        assert_eq!(next_data(fd(&file), 6 * MEGABYTE, stat.size), Ok(None));
        assert_eq!(next_data(fd(&file), stat.size, stat.size), Ok(None));
        // A file that became shorter has nothing there any more.
        file.set_len(10).unwrap();
        assert_eq!(next_data(fd(&file), 3 * MEGABYTE, 4 * MEGABYTE), Ok(None));

        let whole = bed.file("whole", &[7; 100_000]);
        whole.sync_all().unwrap();
        assert!(!is_sparse(&stat_fd(fd(&whole)).unwrap()));
        assert_eq!(Extents::new(fd(&whole), 100_000).map(Result::unwrap).collect::<Vec<_>>(), [(0, 100_000)]);
        assert_eq!(Extents::new(fd(&bed.file("empty", b"")), 0).count(), 0);
    });
}

#[test]
fn a_descriptor_without_holes_is_one_range() {
    // procfs's plain files cannot seek to data.
    let file = std::fs::File::open("/proc/self/status").unwrap();
    assert_eq!(next_data(fd(&file), 5, 100), Ok(Some((5, 100))));
}

fn labels(flags: Flags) -> Vec<&'static str> {
    flags.labels().collect()
}

/// A file system that has once known nothing is not asked again, every other one is.
fn expect_asked_until_none_is_known(file: &std::fs::File, stat: &Stat, found: Flags) {
    let reader = FlagReader::default();
    let proc = std::fs::File::open("/proc/self/status").unwrap();
    assert_eq!(reader.read(fd(&proc), stat.device + 1), Ok(Flags::default()));
    assert_eq!(reader.read(fd(file), stat.device), Ok(found));
    assert_eq!(reader.read(fd(&proc), stat.device), Ok(Flags::default()));
    assert_eq!(reader.read(fd(file), stat.device), Ok(Flags::default()));
}

#[test]
fn flags_and_project_ids_are_found() {
    bed::each(|bed| {
        let file = bed.file("file", b"x");
        assert_eq!(flags::read(fd(&file)), Ok(Flags::default()), "{}", bed.kind);
        assert!(flags::read(fd(&bed.root())).unwrap().is_empty());
        if bed.kind == "tmp" || bed.kind == "tmpfs" {
            return;
        }
        let path = bed.join("file");
        let path = path.to_str().unwrap();
        assert!(bed::run("chattr", &["+id", path]));
        let stat = stat_fd(fd(&file)).unwrap();
        let found = flags::read(fd(&file)).unwrap();
        expect_asked_until_none_is_known(&file, &stat, found);
        assert!(bed::run("chattr", &["-id", path]));
        assert_eq!(labels(found), ["flag immutable", "flag no dump"]);
        assert_eq!(labels(Flags::from_attributes(stat.attributes)), labels(found));
        assert!(found.is_locked());
        if bed.kind == "xfs" {
            assert!(bed::run("xfs_io", &["-c", "chproj 42", path]));
            let found = flags::read(fd(&file)).unwrap();
            assert_eq!((found.project, labels(found)), (42, vec!["project id"]));
        }
        if bed.kind == "btrfs" {
            drop(bed.directory("no-cow"));
            assert!(bed::run("chattr", &["+C", bed.join("no-cow").to_str().unwrap()]));
            let folder = pvferry_core::fs::open::open_volume(&bed.join("no-cow")).unwrap();
            assert_eq!(labels(flags::read(fd(&folder)).unwrap()), ["flag no copy-on-write"]);
        }
    });
    let proc = std::fs::File::open("/proc/self/status").unwrap();
    assert_eq!(flags::read(fd(&proc)), Ok(Flags::default()));
}
