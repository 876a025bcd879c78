use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, Instant};

use pvferry_core::fs::Errno;
use pvferry_core::fs::make;
use pvferry_core::fs::open::{Opener, open_volume};
use pvferry_core::fs::stat::{Kind, stat_at, stat_fd};

use crate::bed::{self, fd};

/// The kernel's way and the one without openat2 have to agree.
fn both(cross_mounts: bool) -> [Opener; 2] {
    let openers = [Opener::new(cross_mounts), Opener::component_wise(cross_mounts)];
    assert!(openers[0].uses_openat2() && !openers[1].uses_openat2());
    openers
}

#[test]
fn symbolic_links_are_never_followed() {
    let bed = bed::plain();
    bed.file("file", b"x");
    drop(bed.directory("folder"));
    symlink("file", bed.join("to-file")).unwrap();
    symlink("folder", bed.join("to-folder")).unwrap();
    symlink("nowhere", bed.join("dangling")).unwrap();
    let root = bed.root();
    for opener in both(false) {
        assert_eq!(opener.directory(fd(&root), b"to-folder").err(), Some(Errno::NOTDIR));
        assert_eq!(opener.directory(fd(&root), b"file").err(), Some(Errno::NOTDIR));
        assert_eq!(opener.file(fd(&root), b"to-file").err(), Some(Errno::LOOP));
        assert_eq!(opener.writable(fd(&root), b"to-file").err(), Some(Errno::LOOP));
        assert_eq!(opener.create_file(fd(&root), b"dangling", 0o600).err(), Some(Errno::EXIST));
        assert_eq!(opener.make_directory(fd(&root), b"dangling").err(), Some(Errno::EXIST));
        let link = opener.path(fd(&root), b"to-file").unwrap();
        assert_eq!(stat_fd(fd(&link)).unwrap().kind, Kind::Symlink);
    }
    assert!(!bed.join("nowhere").exists());
}

#[test]
fn only_single_names_are_opened() {
    let bed = bed::plain();
    drop(bed.directory("a"));
    bed.file("a/b", b"x");
    let root = bed.root();
    for opener in both(false) {
        for bad in [&b".."[..], b".", b"", b"a/b", b"/etc", b"a/", b"a\0b"] {
            assert_eq!(opener.file(fd(&root), bad).err(), Some(Errno::INVAL));
            assert_eq!(opener.directory(fd(&root), bad).err(), Some(Errno::INVAL));
            assert_eq!(opener.path(fd(&root), bad).err(), Some(Errno::INVAL));
            assert_eq!(opener.create_file(fd(&root), bad, 0o600).err(), Some(Errno::INVAL));
            assert_eq!(opener.make_directory(fd(&root), bad).err(), Some(Errno::INVAL));
            assert_eq!(stat_at(fd(&root), bad).err(), Some(Errno::INVAL));
            assert_eq!(make::unlink(fd(&root), bad).err(), Some(Errno::INVAL));
            assert_eq!(make::rename(fd(&root), b"a", fd(&root), bad).err(), Some(Errno::INVAL));
        }
        assert_eq!(opener.file(fd(&root), &[b'n'; 256]).err(), Some(Errno::NAMETOOLONG));
    }
}

#[test]
fn a_fifo_or_socket_does_not_hold_anybody_up() {
    let bed = bed::plain();
    let root = bed.root();
    make::node(fd(&root), b"fifo", Kind::Fifo, 0o600, (0, 0)).unwrap();
    make::node(fd(&root), b"socket", Kind::Socket, 0o600, (0, 0)).unwrap();
    let begin = Instant::now();
    for opener in both(false) {
        let fifo = opener.file(fd(&root), b"fifo").unwrap();
        assert_eq!(stat_fd(fd(&fifo)).unwrap().kind, Kind::Fifo);
        assert_eq!(opener.file(fd(&root), b"socket").err(), Some(Errno::NXIO));
        assert_eq!(opener.writable(fd(&root), b"fifo").err(), None, "our own reader is still there");
        drop(fifo);
        assert_eq!(opener.writable(fd(&root), b"fifo").err(), Some(Errno::NXIO));
    }
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn new_entries_have_the_modes_that_are_promised() {
    let bed = bed::plain();
    let root = bed.root();
    let umask = pvferry_core::fs::process::ProcessIds::read().unwrap().umask;
    for (index, opener) in both(false).into_iter().enumerate() {
        let (file, folder) = (format!("file{index}"), format!("folder{index}"));
        opener.create_file(fd(&root), file.as_bytes(), 0o6775).unwrap();
        let made = opener.make_directory(fd(&root), folder.as_bytes()).unwrap();
        let mode = |name| std::fs::metadata(bed.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&file), 0o775 & !umask);
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(stat_fd(fd(&made)).unwrap().inode, std::fs::metadata(bed.join(&folder)).unwrap().ino());
        assert_eq!(opener.create_file(fd(&root), file.as_bytes(), 0o600).err(), Some(Errno::EXIST));
        assert_eq!(opener.make_directory(fd(&root), file.as_bytes()).err(), Some(Errno::EXIST));
    }
}

#[test]
fn mounts_beneath_are_crossed_only_when_asked() {
    bed::with_mount("tmpfs", "size=1m", |bed| {
        let root = bed.root();
        for name in ["other", "same"] {
            drop(bed.directory(name));
        }
        bed.file("file", b"original");
        bed.file("source", b"mounted over it");
        drop(bed.directory("origin"));
        let path = |name| bed.join(name).into_os_string().into_string().unwrap();
        assert!(bed::run("mount", &["-t", "tmpfs", "none", &path("other")]));
        assert!(bed::run("mount", &["--bind", &path("origin"), &path("same")]));
        assert!(bed::run("mount", &["--bind", &path("source"), &path("file")]));
        for opener in both(false) {
            assert_eq!(opener.directory(fd(&root), b"other").err(), Some(Errno::XDEV));
            assert_eq!(
                opener.directory(fd(&root), b"same").err(),
                Some(Errno::XDEV),
                "a bind mount of the same device"
            );
            assert_eq!(opener.file(fd(&root), b"file").err(), Some(Errno::XDEV), "a bind mount of one file");
            opener.directory(fd(&root), b"origin").unwrap();
        }
        for opener in both(true) {
            opener.directory(fd(&root), b"other").unwrap();
            opener.directory(fd(&root), b"same").unwrap();
            opener.file(fd(&root), b"file").unwrap();
        }
        let mount_id = |name: &[u8]| stat_at(fd(&root), name).unwrap().mount_id.unwrap();
        let own = stat_fd(fd(&root)).unwrap().mount_id.unwrap();
        assert_eq!(mount_id(b"origin"), own);
        assert!(mount_id(b"same") != own && mount_id(b"other") != own && mount_id(b"file") != own);
        for name in ["other", "same", "file"] {
            bed::unmount(&bed.join(name));
        }
    });
}

#[test]
fn reading_leaves_the_access_time_alone() {
    bed::with_mount("tmpfs", "size=1m,strictatime", |bed| {
        let atime = |name| std::fs::metadata(bed.join(name)).map(|found| (found.atime(), found.atime_nsec())).unwrap();
        drop(bed.directory("folder"));
        bed.file("folder/file", b"some bytes");
        let before = (atime("folder"), atime("folder/file"));
        std::thread::sleep(Duration::from_millis(20));
        let root = bed.root();
        for opener in both(false) {
            let folder = opener.directory(fd(&root), b"folder").unwrap();
            let mut buffer = pvferry_core::fs::list::ListBuffer::new();
            pvferry_core::fs::list::Listing::read(fd(&folder), &mut buffer).unwrap();
            let file = opener.file(fd(&folder), b"file").unwrap();
            assert_eq!(rustix::io::pread(&file, &mut [0; 16], 0), Ok(10));
        }
        assert_eq!((atime("folder"), atime("folder/file")), before);
        std::fs::read(bed.join("folder/file")).unwrap();
        assert_ne!(atime("folder/file"), before.1, "this mount does record accesses");
    });
}

#[test]
fn a_volume_is_a_directory() {
    let bed = bed::plain();
    bed.file("file", b"");
    assert_eq!(open_volume(&bed.join("file")).err(), Some(Errno::NOTDIR));
    assert_eq!(open_volume(&bed.join("missing")).err(), Some(Errno::NOENT));
    drop(bed.directory("folder"));
    symlink("folder", bed.join("link")).unwrap();
    let (folder, link) = (open_volume(&bed.join("folder")).unwrap(), open_volume(&bed.join("link")).unwrap());
    assert_eq!(stat_fd(fd(&folder)).unwrap().inode, stat_fd(fd(&link)).unwrap().inode);
}
