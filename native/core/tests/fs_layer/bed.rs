//! Mounted file systems that vanish with their guard.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use pvferry_core::fs::open::open_volume;

/// One at a time: a machine may have only eight loop devices, and other tests use them as well.
static MOUNTING: Mutex<()> = Mutex::new(());

/// A directory on a file system of the named type.
pub(crate) struct Bed {
    pub(crate) kind: &'static str,
    pub(crate) path: PathBuf,
    mounted: bool,
    _folder: tempfile::TempDir,
}

impl Bed {
    /// Opened as a volume's root.
    pub(crate) fn root(&self) -> OwnedFd {
        open_volume(&self.path).expect("the bed opens")
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file with these bytes, opened for reading and writing.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> File {
        std::fs::write(self.join(name), bytes).expect("a file can be written");
        File::options().read(true).write(true).open(self.join(name)).expect("it opens again")
    }

    /// A directory below, with its descriptor.
    pub(crate) fn directory(&self, name: &str) -> OwnedFd {
        std::fs::create_dir(self.join(name)).expect("a directory can be made");
        open_volume(&self.join(name)).expect("it opens")
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.mounted {
            unmount(&self.path);
        }
    }
}

/// Unmounts by force of laziness: a failing test may hold descriptors.
pub(crate) fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(path).status();
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says that something is left out; fails where nothing may be.
pub(crate) fn left_out(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} was left out: {why}");
    eprintln!("left out: {what}: {why}");
}

/// Runs a program; whether it succeeded.
pub(crate) fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The temporary directory's own file system: always there.
pub(crate) fn plain() -> Bed {
    on(tempfile::tempdir().expect("a temporary directory"))
}

/// In memory where the system has a place for that: for many thousands of entries.
pub(crate) fn quick() -> Bed {
    tempfile::tempdir_in("/dev/shm").map_or_else(|_| plain(), on)
}

fn on(folder: tempfile::TempDir) -> Bed {
    Bed { kind: "tmp", path: folder.path().to_owned(), mounted: false, _folder: folder }
}

/// A file system made and mounted with these options; None when that is impossible here.
pub(crate) fn mount(kind: &'static str, options: &str, making: &[&str]) -> Option<Bed> {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join(kind);
    std::fs::create_dir(&path).expect("a mount point");
    let image = folder.path().join("image");
    let (image, point) = (image.to_str()?, path.to_str()?);
    let done = match kind {
        "tmpfs" => run("mount", &["-t", "tmpfs", "-o", options, "pvferry-test", point]),
        "fuse" => {
            let source = folder.path().join("source");
            std::fs::create_dir(&source).expect("a directory to bind");
            run("bindfs", &[&options.split(' ').collect::<Vec<_>>()[..], &[source.to_str()?, point]].concat())
        }
        _ => {
            make_image(kind, image, making)
                && run("mount", &["-t", kind, "-o", &format!("loop,{options}"), image, point])
        }
    };
    if !done {
        left_out(kind, "needs root, mkfs and a loop device, or bindfs and /dev/fuse");
        return None;
    }
    Some(Bed { kind, path, mounted: true, _folder: folder })
}

fn make_image(kind: &str, image: &str, making: &[&str]) -> bool {
    // XFS refuses less than 300 MB; the files are sparse.
    let size = if kind == "ext4" { 64 << 20 } else { 400 << 20 };
    File::create(image).and_then(|file| file.set_len(size)).expect("an image file");
    let force = if kind == "ext4" { "-F" } else { "-f" };
    run(&format!("mkfs.{kind}"), &[&["-q", force], making, &[image]].concat())
}

/// Runs a test on every file system there is, one after the other.
pub(crate) fn each(test: impl Fn(&Bed)) {
    test(&plain());
    if !is_root() {
        return left_out("ext4, xfs, btrfs, tmpfs", "mounting needs root");
    }
    for kind in ["tmpfs", "ext4", "xfs", "btrfs"] {
        with_mount(kind, "defaults", &test);
    }
}

/// Runs a test on one mounted file system, if that can be had.
pub(crate) fn with_mount(kind: &'static str, options: &str, test: impl Fn(&Bed)) {
    with_made(kind, options, &[], test);
}

/// Runs a test on an ext4 made with these options of mkfs.ext4.
pub(crate) fn with_ext4_options(making: &[&str], test: impl Fn(&Bed)) {
    with_made("ext4", "defaults", making, test);
}

fn with_made(kind: &'static str, options: &str, making: &[&str], test: impl Fn(&Bed)) {
    if !is_root() {
        return left_out(kind, "mounting needs root");
    }
    let _one = MOUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bed) = mount(kind, options, making) {
        eprintln!("on {kind}");
        test(&bed);
    }
}

/// Shorter to read where descriptors are passed all the time.
pub(crate) fn fd(owned: &impl AsFd) -> BorrowedFd<'_> {
    owned.as_fd()
}
