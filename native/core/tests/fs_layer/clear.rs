use std::os::unix::fs::symlink;

use pvferry_core::fs::Errno;
use pvferry_core::fs::clear::{ClearError, clear, clear_until};
use pvferry_core::fs::directory_path::Directories;
use pvferry_core::fs::make;
use pvferry_core::fs::open::Opener;
use pvferry_core::fs::stat::Kind;

use crate::bed::{self, fd};
use crate::directories::chain;

fn names(bed: &bed::Bed) -> Vec<String> {
    let entries = std::fs::read_dir(&bed.path).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn everything_but_the_kept_names_goes() {
    bed::each(|bed| {
        let outside = bed::plain();
        outside.file("precious", b"x");
        let root = bed.root();
        for path in [".pvferry", ".pvferry/parts", "a", "a/b", "a/lost+found", "read-only"] {
            std::fs::create_dir(bed.join(path)).unwrap();
        }
        let _ = std::fs::create_dir(bed.join("lost+found"));
        bed.file("read-only/file", b"");
        std::fs::set_permissions(bed.join("read-only"), std::os::unix::fs::PermissionsExt::from_mode(0o555)).unwrap();
        bed.file("a/b/file", b"");
        symlink(&outside.path, bed.join("a/link")).unwrap();
        symlink("/", bed.join("root")).unwrap();
        make::node(fd(&root), b"fifo", Kind::Fifo, 0, (0, 0)).unwrap();
        rustix::fs::symlinkat("x", &root, b"\xff\n".as_slice()).unwrap();
        assert_eq!(clear(fd(&root), &[b"lost+found", b".pvferry"]), Ok(10));
        assert_eq!(names(bed), [".pvferry", "lost+found"]);
        assert!(bed.join(".pvferry/parts").is_dir());
        assert!(outside.join("precious").exists());
    });
}

#[test]
fn depth_does_not_matter() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let directories = Directories::new(bed.root(), Opener::new(false), 64);
        chain(&directories, 6000, &[b'n'; 255]);
        assert_eq!(clear(fd(&bed.root()), &[]), Ok(6000));
        assert!(names(bed).is_empty());
    });
}

#[test]
fn what_is_mounted_beneath_is_left_alone() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        std::fs::create_dir_all(bed.join("a/mounted")).unwrap();
        std::fs::create_dir(bed.join("origin")).unwrap();
        bed.file("origin/file", b"");
        let (origin, point) = (bed.join("origin"), bed.join("a/mounted"));
        assert!(bed::run("mount", &["--bind", origin.to_str().unwrap(), point.to_str().unwrap()]));
        let kept: &[&[u8]] = &[b"origin"];
        let error = ClearError { path: b"a/mounted".to_vec(), errno: Errno::BUSY };
        assert_eq!(clear(fd(&bed.root()), kept), Err(error));
        assert!(bed.join("origin/file").exists());
        bed::unmount(&point);
        assert_eq!(clear(fd(&bed.root()), kept), Ok(2));
    });
}

#[test]
fn an_immutable_entry_is_named() {
    bed::with_mount("ext4", "defaults", |bed| {
        std::fs::create_dir_all(bed.join("a/b")).unwrap();
        bed.file("a/b/fixed", b"");
        let path = bed.join("a/b/fixed");
        assert!(bed::run("chattr", &["+i", path.to_str().unwrap()]));
        let result = clear(fd(&bed.root()), &[b"lost+found"]);
        assert!(bed::run("chattr", &["-i", path.to_str().unwrap()]));
        assert_eq!(result, Err(ClearError { path: b"a/b/fixed".to_vec(), errno: Errno::PERM }));
    });
}

#[test]
fn clearing_stops_when_asked() {
    let bed = bed::plain();
    std::fs::create_dir_all(bed.join("a/b/c")).unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 2;
    let error = ClearError { path: b"a".to_vec(), errno: Errno::INTR };
    assert_eq!(clear_until(fd(&bed.root()), &[], &stop), Err(error));
    assert!(bed.join("a/b/c").exists());
}

#[test]
fn clearing_one_large_directory_stops_in_its_middle() {
    let bed = bed::plain();
    for index in 0..100 {
        bed.file(&format!("file{index}"), b"");
    }
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 10;
    let result = clear_until(fd(&bed.root()), &[], &stop);
    assert_eq!(result.map_err(|error| error.errno), Err(Errno::INTR));
    assert_eq!(std::fs::read_dir(bed.join(".")).unwrap().count(), 91);
}
