//! Volumes for tests: a folder of their own each, with something beside it that nobody may touch.

use std::fs::{self, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

/// A volume's root and a canary next to it.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

const SONG: &[u8] = b"still here";

impl Place {
    pub(crate) fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    /// On the file system that `parent` lies on.
    pub(crate) fn within(parent: &Path) -> Self {
        let dir = tempfile::tempdir_in(parent).unwrap();
        let place = Self { dir };
        fs::create_dir(place.root()).unwrap();
        fs::create_dir(place.outside()).unwrap();
        fs::write(place.canary(), SONG).unwrap();
        let file = fs::File::options().write(true).open(place.canary()).unwrap();
        let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        // Reading moves an access time that is not later than the modification.
        file.set_times(FileTimes::new().set_modified(long_ago).set_accessed(long_ago)).unwrap();
        place
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("volume")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn canary(&self) -> PathBuf {
        self.outside().join("canary")
    }

    /// Nothing was made, changed or read beside the volume.
    #[track_caller]
    pub(crate) fn expect_canary(&self) {
        let stat = fs::metadata(self.canary()).unwrap();
        assert_eq!((stat.atime(), stat.mtime()), (1_000_000_000, 1_000_000_000), "the canary was read or changed");
        assert_eq!(fs::read(self.canary()).unwrap(), SONG);
        assert_eq!(names(&self.outside()), ["canary"]);
        assert_eq!(names(self.dir.path()), ["outside", "volume"]);
    }
}

impl Drop for Place {
    /// Paths may be too long for a walk by path; rm goes by descriptors.
    fn drop(&mut self) {
        let _ = Command::new("rm").arg("-rf").arg(self.root()).status();
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Bytes that do not shrink, the same for the same seed.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Every kind of entry, small and large files, holes, links among directories.
pub(crate) fn furnish(root: &Path) {
    let script = r#"
        set -e
        mkdir -p a/b/c empty links
        mkfifo a/fifo
        mknod a/null c 1 3
        mknod a/loop b 7 200
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("a/socket")' 2>/dev/null || true
        ln -s /etc/passwd a/absolute
        ln -s ../../outside/canary a/outside
        ln -s nowhere a/dangling
        printf '' > empty-file
        truncate -s 3M holes && printf x | dd of=holes bs=1 seek=1500000 conv=notrunc status=none
        truncate -s 100K small-hole
        truncate -s 2G sparse && printf y | dd of=sparse bs=1 seek=1600000000 conv=notrunc status=none
        ln a/fifo links/fifo
        ln -P a/absolute links/absolute
        chmod 4755 a/b && chmod 1777 empty && chmod 0400 empty-file
        touch -h -d '1960-01-01 00:00:00.123456789 UTC' a/absolute a/b/c empty-file
    "#;
    let status = Command::new("sh").args(["-c", script]).current_dir(root).status().unwrap();
    assert!(status.success());
    for number in 0..60_u64 {
        fs::write(root.join(format!("a/b/file-{number}")), noise(number, number as usize * 700)).unwrap();
    }
    for (number, length) in [524_288, 524_289, 1_048_576, 5_000_001].into_iter().enumerate() {
        fs::write(root.join(format!("large-{number}")), noise(1_000 + number as u64, length)).unwrap();
    }
    fs::write(root.join("text"), b"to be or not to be ".repeat(100_000)).unwrap();
    fs::hard_link(root.join("large-2"), root.join("links/large")).unwrap();
    fs::hard_link(root.join("a/b/file-7"), root.join("links/small")).unwrap();
    fs::hard_link(root.join("a/b/file-7"), root.join("links/small-again")).unwrap();
}
