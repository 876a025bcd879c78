//! The folder of a finished copy whose target ended before it could remove it.

use std::fs::{self, File, FileTimes};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pvferry_core::error::ErrorKind;
use pvferry_core::fs::open::Opener;
use pvferry_core::target::journal::lock::take;
use pvferry_core::target::journal::{Journal, Pass, PassKind, Record, Torn};
use pvferry_core::target::leave_finished;
use tempfile::TempDir;

use crate::document::{TRANSFER, at};

/// A volume with a file of the user's, whose root was last changed long ago.
struct Volume {
    folder: TempDir,
}

impl Volume {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(folder.path().join("data"), "kept").unwrap();
        Self { folder }
    }

    /// With the journal of a copy that has recorded this.
    fn holding(records: &[Record]) -> Self {
        let volume = Self::new();
        fs::create_dir(volume.own()).unwrap();
        volume.record(records);
        volume.set_time();
        volume
    }

    /// One more session; what is in the folder does not change the root.
    fn record(&self, records: &[Record]) {
        let folder = File::open(self.own()).unwrap();
        let opened = Journal::open(folder.as_fd(), self.folder.path(), TRANSFER, false).unwrap();
        opened.journal.append(records).unwrap();
    }

    fn own(&self) -> PathBuf {
        self.folder.path().join(".pvferry")
    }

    fn set_time(&self) {
        File::open(self.folder.path()).unwrap().set_times(FileTimes::new().set_modified(long_ago())).unwrap();
    }

    fn leave(&self) -> Result<Option<Pass>, ErrorKind> {
        leave_finished(self.folder.path(), TRANSFER).map_err(|error| error.kind)
    }

    #[track_caller]
    fn assert_left(&self) {
        assert!(!self.own().exists());
        assert_eq!(fs::read(self.folder.path().join("data")).unwrap(), b"kept");
        assert_eq!(fs::metadata(self.folder.path()).unwrap().modified().unwrap(), long_ago());
    }
}

fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789)
}

fn pass(kind: PassKind, verdict: u8) -> Pass {
    Pass { kind, number: 3, verdict, receipt: [7; 32], ended: at(9), scan_began: at(1), scan_ended: at(2) }
}

#[test]
fn goes_with_all_that_is_in_it_and_the_root_keeps_its_time() {
    for verdict in [0, 40, 41] {
        let finished = pass(PassKind::Cutover, verdict);
        let volume = Volume::holding(&[Record::Pass(finished)]);
        fs::create_dir(volume.own().join("parts")).unwrap();
        fs::write(volume.own().join("parts/17"), "a piece").unwrap();
        assert_eq!(volume.leave(), Ok(Some(finished)));
        volume.assert_left();
    }
}

#[test]
fn stays_unless_its_journal_says_that_the_copy_is_finished() {
    let torn = Record::Torn(Torn { path: b"data".to_vec(), inode: 7 });
    for records in [
        vec![],
        vec![Record::Pass(pass(PassKind::Stage, 0))],
        vec![Record::Pass(pass(PassKind::Cutover, 42))],
        vec![Record::Pass(pass(PassKind::Cutover, 43))],
        vec![torn, Record::Pass(pass(PassKind::Cutover, 40))],
    ] {
        let volume = Volume::holding(&records);
        let before = fs::read(volume.own().join("journal")).unwrap();
        assert_eq!(volume.leave(), Err(ErrorKind::Busy), "{records:?}");
        assert_eq!(fs::read(volume.own().join("journal")).unwrap(), before);
    }
}

#[test]
fn stays_when_another_target_has_begun_to_write_since() {
    let volume = Volume::holding(&[Record::Pass(pass(PassKind::Cutover, 0))]);
    volume.record(&[]);
    let error = leave_finished(volume.folder.path(), TRANSFER).unwrap_err();
    assert!(error.message.contains("has begun to write to the target volume"), "{error}");
    assert!(volume.own().join("journal").exists());
}

#[test]
fn stays_when_it_is_another_transfers_damaged_or_in_use() {
    let volume = Volume::holding(&[Record::Pass(pass(PassKind::Cutover, 0))]);
    let other = leave_finished(volume.folder.path(), "other/volume").unwrap_err();
    assert_eq!(other.kind, ErrorKind::Journal);
    assert!(other.message.contains("not to other/volume"), "{other}");
    let root = File::open(volume.folder.path()).unwrap();
    let held = take(&Opener::new(false), root.as_fd(), volume.folder.path()).unwrap();
    assert_eq!(volume.leave(), Err(ErrorKind::Busy));
    drop(held);
    let journal = fs::read(volume.own().join("journal")).unwrap();
    fs::write(volume.own().join("journal"), "not a journal").unwrap();
    assert_eq!(volume.leave(), Err(ErrorKind::Journal));
    fs::write(volume.own().join("journal"), journal).unwrap();
    assert!(volume.leave().unwrap().is_some());
    volume.assert_left();
}

#[test]
fn that_is_gone_already_is_not_made_again() {
    let volume = Volume::new();
    volume.set_time();
    assert_eq!(volume.leave(), Ok(None));
    volume.assert_left();
    // As an agent leaves it that is killed before its last call.
    fs::create_dir(volume.own()).unwrap();
    volume.set_time();
    assert_eq!(volume.leave(), Ok(None));
    volume.assert_left();
}
