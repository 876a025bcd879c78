use std::os::unix::fs::symlink;

use pvferry_core::fs::Errno;
use pvferry_core::fs::make;
use pvferry_core::fs::stat::Kind;
use pvferry_core::fs::xattr_policy::LeftOut;
use pvferry_core::fs::xattrs::{ACL_ACCESS, Reading, read_at, read_fd, remove_at, write_at, write_fd};

use crate::bed::{self, fd};

fn names(reading: &Reading) -> Vec<String> {
    reading.xattrs.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect()
}

#[test]
fn an_entry_without_attributes_has_none() {
    bed::each(|bed| {
        let root = bed.root();
        let file = bed.file("file", b"");
        symlink("x", bed.join("link")).unwrap();
        assert_eq!(read_fd(fd(&file), true), Ok(Reading::default()));
        assert_eq!(read_at(fd(&root), b"link", true), Ok(Reading::default()));
        assert_eq!(read_at(fd(&root), b"missing", true), Err(Errno::NOENT));
        assert_eq!(read_at(fd(&root), b"../x", true), Err(Errno::INVAL));
    });
}

#[test]
fn every_namespace_comes_back_as_it_went_in() {
    bed::each(|bed| {
        if bed.kind == "tmp" {
            return;
        }
        let file = bed.file("file", b"");
        let capability = [1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        write_fd(fd(&file), b"user.binary", b"\0\xff\n").unwrap();
        write_fd(fd(&file), b"user.empty", b"").unwrap();
        write_fd(fd(&file), b"trusted.mine", b"t").unwrap();
        write_fd(fd(&file), b"security.capability", &capability).unwrap();
        write_fd(fd(&file), b"security.selinux", b"system_u:object_r:container_file_t:s0\0").unwrap();
        write_fd(fd(&file), b"security.ima", b"\x01hash").unwrap();
        write_fd(fd(&file), b"trusted.overlay.opaque", b"y").unwrap();
        let reading = read_fd(fd(&file), false).unwrap();
        assert_eq!(names(&reading), ["security.capability", "trusted.mine", "user.binary", "user.empty"]);
        assert_eq!(reading.xattrs.get(b"user.binary"), Some(&b"\0\xff\n"[..]));
        assert_eq!(reading.xattrs.get(b"user.empty"), Some(&b""[..]));
        assert_eq!(reading.xattrs.get(b"security.capability"), Some(&capability[..]));
        let labels: Vec<_> = reading.left_out.iter().map(LeftOut::label).collect();
        assert_eq!(labels, ["security.selinux", "security.ima", "trusted.overlay.*"]);
        assert!(names(&read_fd(fd(&file), true).unwrap()).contains(&"security.selinux".to_owned()));
    });
}

#[test]
fn links_and_special_entries_are_read_without_being_followed() {
    bed::each(|bed| {
        if bed.kind == "tmp" {
            return;
        }
        let root = bed.root();
        let file = bed.file("file", b"");
        write_fd(fd(&file), b"trusted.of-the-file", b"1").unwrap();
        symlink("file", bed.join("link")).unwrap();
        make::node(fd(&root), b"fifo", Kind::Fifo, 0o600, (0, 0)).unwrap();
        make::node(fd(&root), b"null", Kind::CharDevice, 0o600, (1, 3)).unwrap();
        for entry in [&b"link"[..], b"fifo", b"null"] {
            write_at(fd(&root), entry, b"trusted.own", entry).unwrap();
            let reading = read_at(fd(&root), entry, false).unwrap();
            assert_eq!(names(&reading), ["trusted.own"]);
            assert_eq!(reading.xattrs.get(b"trusted.own"), Some(entry));
            remove_at(fd(&root), entry, b"trusted.own").unwrap();
            remove_at(fd(&root), entry, b"trusted.own").unwrap();
            assert!(read_at(fd(&root), entry, false).unwrap().xattrs.is_empty());
        }
        assert_eq!(write_at(fd(&root), b"link", b"user.x", b""), Err(Errno::PERM), "links have no user attributes");
        assert_eq!(names(&read_fd(fd(&file), false).unwrap()), ["trusted.of-the-file"]);
    });
}

#[test]
fn long_lists_and_long_values_are_read_whole() {
    for kind in ["tmpfs", "xfs"] {
        bed::with_mount(kind, "defaults", |bed| {
            let file = bed.file("file", b"");
            write_fd(fd(&file), b"user.large", &[7; 65_536]).unwrap();
            for number in 0..200 {
                let name = format!("user.{number:0>200}");
                write_fd(fd(&file), name.as_bytes(), name.as_bytes()).unwrap();
            }
            let reading = read_fd(fd(&file), false).unwrap();
            assert_eq!(reading.xattrs.len(), 201);
            assert_eq!(reading.xattrs.get(b"user.large"), Some(&[7; 65_536][..]));
            assert!(reading.xattrs.iter().map(|(name, _)| name).is_sorted());
            for number in 0..150 {
                write_fd(fd(&file), format!("user.more{number}").as_bytes(), &[7; 65_536]).unwrap();
            }
            assert_eq!(read_fd(fd(&file), false), Err(Errno::TOOBIG));
        });
    }
}

#[test]
fn attributes_that_change_meanwhile_do_no_harm() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let file = bed.file("file", b"");
        let writer = file.try_clone().unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sizes = [0, 3000, 10, 60_000];
                for size in sizes.iter().cycle().take_while(|_| !stop.load(std::sync::atomic::Ordering::Relaxed)) {
                    write_fd(fd(&writer), b"user.x", &vec![1; *size]).unwrap();
                    pvferry_core::fs::xattrs::remove_fd(fd(&writer), b"user.x").unwrap();
                }
            });
            for _ in 0..3000 {
                let reading = read_fd(fd(&file), false).unwrap();
                let length = reading.xattrs.get(b"user.x").map_or(0, <[u8]>::len);
                assert!([0, 3000, 10, 60_000].contains(&length));
                assert_eq!(reading.unreadable, []);
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    });
}

#[test]
fn an_acl_on_xfs_is_seen_once() {
    bed::with_mount("xfs", "defaults", |bed| {
        let file = bed.file("file", b"");
        assert!(bed::run("setfacl", &["-m", "u:4000000000:r", bed.join("file").to_str().unwrap()]));
        let reading = read_fd(fd(&file), false).unwrap();
        assert_eq!(names(&reading), ["system.posix_acl_access"]);
        assert_eq!(reading.xattrs.get(ACL_ACCESS).map(<[u8]>::len), Some(44));
        assert!(reading.left_out.is_empty());
    });
}

#[test]
fn a_file_system_without_attributes_has_none() {
    let proc = std::fs::File::open("/proc/self/status").unwrap();
    assert_eq!(read_fd(fd(&proc), true), Ok(Reading::default()));
}
