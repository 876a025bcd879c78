//! What one session finds of those before it.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use pvferry_core::error::{CoreError, ErrorKind};
use pvferry_core::target::journal::{
    COMPACT_ABOVE, EVER, History, Journal, Part, PartEnd, Pass, PassKind, Record, Session, encode, look, parse,
};
use tempfile::TempDir;

use crate::document::{NONCE, TRANSFER, at, records};

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        parse(&self.bytes()).unwrap().records.into_iter().map(|(_, record)| record).collect()
    }

    fn try_open(&self, transfer: &str, discard: bool) -> Result<(Journal, History), CoreError> {
        let folder: OwnedFd = fs::File::open(self.folder.path()).unwrap().into();
        let opened = Journal::open(folder.as_fd(), Path::new("/v"), transfer, discard)?;
        Ok((opened.journal, opened.history))
    }

    #[track_caller]
    fn open(&self) -> (Journal, History) {
        self.try_open(TRANSFER, false).unwrap()
    }

    /// As if the machine had been started anew since: its sessions and checkpoints were those of another boot.
    fn reboot(&self) {
        let moved = self.records().into_iter().map(|record| match record {
            Record::Session(session) => Record::Session(Session { boot: [1; 16], ..session }),
            other => other,
        });
        fs::write(self.file(), encode(TRANSFER, &NONCE, &moved.collect::<Vec<_>>())).unwrap();
    }
}

fn part(name: &str, pieces: u64) -> Part {
    Part { path: [7; 32], name: name.into(), size: 100 << 20, recorded: at(1), ranges: vec![(0, pieces)] }
}

fn pass() -> Record {
    records().into_iter().find(|record| matches!(record, Record::Pass(_))).unwrap()
}

#[test]
fn the_first_session_finds_nothing_and_the_second_what_the_first_left() {
    let place = Place::new();
    let (journal, history) = place.open();
    assert!(history.fresh && history.same_boot);
    assert_eq!((history.epoch, history.doubt, history.checkpoint), (1, None, None));
    journal.append(&[Record::Part(part("1", 3)), Record::Part(part("2", 1)), pass()]).unwrap();
    journal.append(&[Record::PartEnded { name: "2".into(), how: PartEnd::Done }]).unwrap();
    journal.checkpoint().unwrap();
    drop(journal);
    let (_journal, history) = place.open();
    assert!(!history.fresh && history.same_boot);
    assert_eq!((history.epoch, history.doubt), (2, None));
    assert_eq!(history.parts, [part("1", 3)]);
    assert_eq!(history.passes.len(), 1);
    assert_eq!(history.checkpoint.unwrap().number, 1);
}

#[test]
fn after_a_reboot_only_what_a_checkpoint_covers_counts() {
    let place = Place::new();
    let (journal, _) = place.open();
    journal.append(&[Record::Part(part("1", 3)), Record::Part(part("2", 9))]).unwrap();
    journal.checkpoint().unwrap();
    let ended = Record::PartEnded { name: "2".into(), how: PartEnd::Done };
    journal.append(&[Record::Part(part("1", 8)), Record::Part(part("3", 1)), ended]).unwrap();
    drop(journal);
    place.reboot();
    let (journal, history) = place.open();
    assert!(!history.same_boot);
    let doubt = history.doubt.unwrap();
    assert_eq!(history.checkpoint.unwrap().covers, doubt.from);
    assert!(doubt.until >= doubt.from);
    assert_eq!(history.parts, [part("1", 3), part("2", 9)]);
    // The doubt stays, whatever becomes of this session, until a pass has ended.
    drop(journal);
    let (journal, again) = place.open();
    assert!(again.same_boot);
    assert_eq!((again.doubt, again.parts), (Some(doubt), history.parts));
    // A pass that could not compare everything does not end it.
    for verdict in [40, 43] {
        let Record::Pass(pass) = pass() else { panic!("no pass") };
        journal.append(&[Record::Pass(Pass { verdict, ..pass })]).unwrap();
    }
    drop(journal);
    let (journal, again) = place.open();
    assert_eq!(again.doubt, Some(doubt));
    journal.append(&[pass()]).unwrap();
    drop(journal);
    assert_eq!(place.open().1.doubt, None);
}

#[test]
fn after_a_reboot_without_a_checkpoint_every_file_is_in_doubt() {
    let place = Place::new();
    drop(place.open());
    place.reboot();
    assert_eq!(place.open().1.doubt.unwrap().from, EVER);
}

/// The position is taken before syncfs: what is recorded while that runs is not covered by it.
#[test]
fn a_part_that_was_recorded_behind_the_position_is_not_covered() {
    let place = Place::new();
    let (journal, _) = place.open();
    journal.append(&[Record::Part(part("1", 3))]).unwrap();
    journal.checkpoint().unwrap();
    drop(journal);
    let reading = parse(&place.bytes()).unwrap();
    let part_at = reading.records[1].0;
    let shifted = reading.records.iter().map(|(_, record)| match record {
        Record::Checkpoint(checkpoint) => {
            let mut early = *checkpoint;
            early.position = part_at;
            Record::Checkpoint(early)
        }
        other => other.clone(),
    });
    fs::write(place.file(), encode(TRANSFER, &NONCE, &shifted.collect::<Vec<_>>())).unwrap();
    place.reboot();
    assert_eq!(place.open().1.parts, []);
}

#[test]
fn a_torn_tail_is_cut_off_and_written_over() {
    let place = Place::new();
    let (journal, _) = place.open();
    journal.append(&[Record::Part(part("1", 3)), Record::Part(part("2", 3))]).unwrap();
    drop(journal);
    let whole = place.bytes();
    fs::write(place.file(), [&whole[..whole.len() - 5], &[0; 700]].concat()).unwrap();
    let (journal, history) = place.open();
    assert_eq!(history.parts, [part("1", 3)]);
    assert_eq!(parse(&place.bytes()).unwrap().end, place.bytes().len() as u64, "the tail is still there");
    journal.append(&[Record::Part(part("3", 3))]).unwrap();
    drop(journal);
    assert_eq!(place.open().1.parts, [part("1", 3), part("3", 3)]);
}

#[track_caller]
fn refused(place: &Place, transfer: &str, words: &[&str]) {
    let before = place.bytes();
    let error = place.try_open(transfer, false).map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Journal, "{error}");
    for word in ["/v/.pvferry/journal", "."].iter().chain(words) {
        assert!(error.message.contains(word), "{error} lacks {word}");
    }
    assert_eq!(place.bytes(), before, "it was changed");
}

#[test]
fn foreign_other_and_damaged_journals_are_refused_and_can_be_discarded() {
    let place = Place::new();
    let (journal, _) = place.open();
    journal.append(&[Record::Part(part("1", 3))]).unwrap();
    journal.checkpoint().unwrap();
    drop(journal);
    refused(&place, "tr-other/data", &["belongs to the transfer tr-4kxw/data, not to tr-other/data"]);
    let whole = place.bytes();
    let mut changed = whole.clone();
    changed[9] = 3;
    fs::write(place.file(), &changed).unwrap();
    refused(&place, TRANSFER, &["of format 3", "reads the formats 1 and 2"]);
    let mut changed = whole;
    let at = parse(&changed).unwrap().records[1].0;
    changed[at as usize + 20] ^= 1;
    fs::write(place.file(), &changed).unwrap();
    refused(&place, TRANSFER, &[&format!("damaged at byte {at}; readable before that: 1 session, 0 checkpoints")]);
    let (_journal, history) = place.try_open(TRANSFER, true).unwrap();
    assert!(history.fresh);
    assert_eq!(history.doubt.unwrap().from, EVER);
    drop(_journal);
    // Also for the session after this one.
    assert_eq!(place.open().1.doubt.unwrap().from, EVER);
}

#[test]
fn a_journal_that_has_grown_is_written_anew_with_what_still_counts() {
    let place = Place::new();
    drop(place.open());
    let (journal, _) = place.open();
    let scattered = |pieces: u64, name: &str| {
        let ranges = (0..1_000).map(|at| (2 * at * pieces, 1)).collect();
        Record::Part(Part { ranges, ..part(name, 1) })
    };
    journal.append(&[pass(), scattered(1, "covered")]).unwrap();
    journal.checkpoint().unwrap();
    let mut largest = 0;
    for round in 2..300 {
        journal.append(&[scattered(round, "newer"), Record::Part(part("ended", round))]).unwrap();
        journal.append(&[Record::PartEnded { name: "ended".into(), how: PartEnd::Dropped }]).unwrap();
        largest = largest.max(place.bytes().len() as u64);
    }
    assert!(largest > COMPACT_ABOVE / 2 && largest <= COMPACT_ABOVE, "5 MB were appended; it grew to {largest}");
    drop(journal);
    let epochs = place.records().into_iter().filter_map(|record| match record {
        Record::Session(session) => Some(session.epoch),
        _ => None,
    });
    assert_eq!(epochs.collect::<Vec<_>>(), [1, 2], "the first and the last");
    let (journal, history) = place.open();
    let parts: Vec<Record> = history.parts.into_iter().map(Record::Part).collect();
    assert_eq!(parts, [scattered(1, "covered"), scattered(299, "newer")]);
    assert_eq!(history.passes.len(), 1);
    drop(journal);
    place.reboot();
    let (_journal, history) = place.open();
    let parts: Vec<Record> = history.parts.into_iter().map(Record::Part).collect();
    assert_eq!(parts, [scattered(1, "covered")], "what no checkpoint covered");
    let Record::Pass(Pass { number, .. }) = pass() else { panic!("no pass") };
    assert_eq!(history.passes[0].number, number);
}

#[test]
fn a_finished_copy_is_told_of_until_a_session_follows_also_when_the_journal_is_written_anew() {
    let volume = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::create_dir(volume.path().join(".pvferry")).unwrap();
    let folder = fs::File::open(volume.path().join(".pvferry")).unwrap();
    let open = || Journal::open(folder.as_fd(), volume.path(), TRANSFER, false).unwrap().journal;
    let finished = || look(volume.path()).unwrap().unwrap().is_finished;
    let Record::Pass(stage) = pass() else { panic!("no pass") };
    drop(open());
    let journal = open();
    journal.append(&[Record::Pass(stage)]).unwrap();
    assert!(!finished());
    journal.append(&[Record::Pass(Pass { kind: PassKind::Cutover, verdict: 0, ..stage })]).unwrap();
    let random = || parse(&fs::read(volume.path().join(".pvferry/journal")).unwrap()).unwrap().nonce;
    let before = random();
    while random() == before {
        assert!(finished());
        let ranges = (0..1_000).map(|at| (2 * at, 1)).collect();
        journal.append(&[Record::Part(Part { ranges, ..part("1", 1) })]).unwrap();
    }
    assert!(finished());
    drop(journal);
    let journal = open();
    assert!(!finished());
    drop(journal);
    assert_eq!(look(volume.path()).unwrap().unwrap().records.len(), 6, "two sessions, two passes, a part, a session");
}

#[test]
fn what_cannot_be_recorded_costs_no_more_than_repetition() {
    let place = Place::new();
    drop(place.open());
    let (journal, _) = place.open();
    let scattered = Part { ranges: (0..5_000).map(|at| (2 * at, 1)).collect(), ..part("1", 1) };
    journal.append(&[Record::Part(scattered.clone()), Record::Part(part("../1", 1))]).unwrap();
    journal.append(&(0..400).map(|name| Record::Part(part(&format!("p{name:03}"), 1))).collect::<Vec<_>>()).unwrap();
    drop(journal);
    let history = place.open().1;
    assert_eq!(history.parts.len(), 256);
    assert_eq!(history.parts[0], Part { ranges: scattered.ranges[..1_024].to_vec(), ..scattered });
}

#[test]
fn nothing_is_written_once_it_is_closed() {
    let place = Place::new();
    let (journal, _) = place.open();
    journal.close();
    let before = place.bytes();
    journal.append(&[pass()]).unwrap_err();
    journal.checkpoint().unwrap();
    assert_eq!(place.bytes(), before);
}
