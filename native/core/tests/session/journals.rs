//! What sessions leave in the target's journal, and what the next one finds.

use std::fs::{self, FileTimes};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, UNIX_EPOCH};

use pvferry_core::error::ErrorKind;
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::net::listener::Listener;
use pvferry_core::target::Terms;
use pvferry_core::target::journal::{EVER, Pass, PassKind, Record, look};

use super::pair::{DEADLINE, Pair, listener, roots, target, try_target};
use super::pki;
use super::volumes::{Place, noise};

fn checkpoints(volume: &Path) -> usize {
    let records = look(volume).unwrap().unwrap().records;
    records.iter().filter(|record| matches!(record, Record::Checkpoint(_))).count()
}

/// A copy that is over, but not finished: the journal stays.
fn unfinished(from: &Place, to: &Place, terms: Terms, checkpoint: Duration) -> Pair {
    let mut pair = Pair::on_terms(&from.root(), &to.root(), terms, checkpoint);
    pair.attach_index();
    pair.attach_lanes();
    pair.wait();
    pair
}

#[test]
fn checkpoints_come_while_something_is_written_and_only_then() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("file"), noise(1, 4 << 20)).unwrap();
    let pair = Pair::on_terms(&from.root(), &to.root(), Terms::default(), Duration::from_millis(5));
    sleep(Duration::from_millis(100));
    assert_eq!(checkpoints(&to.root()), 0, "nothing was written");
    pair.attach_index();
    let started = Instant::now();
    while checkpoints(&to.root()) == 0 && started.elapsed() < DEADLINE {
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_millis(100));
    let after_index = checkpoints(&to.root());
    sleep(Duration::from_millis(100));
    assert!(after_index > 0);
    assert_eq!(checkpoints(&to.root()), after_index, "nothing was written meanwhile");
}

#[test]
fn without_an_interval_there_is_one_at_the_end() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("file"), noise(1, 100_000)).unwrap();
    let pair = unfinished(&from, &to, Terms::default(), Duration::ZERO);
    assert_eq!(checkpoints(&to.root()), 0);
    pair.target.durable_later()().unwrap();
    assert_eq!(checkpoints(&to.root()), 1);
}

fn finished(volume: &Path) -> Option<bool> {
    look(volume).unwrap().map(|look| look.is_finished)
}

#[test]
fn a_finished_copy_is_told_of_until_the_folder_goes_and_the_root_keeps_its_time() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("file"), noise(1, 100_000)).unwrap();
    let long_ago = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(from.root()).unwrap().set_times(FileTimes::new().set_modified(long_ago)).unwrap();
    let pair = unfinished(&from, &to, Terms::default(), Duration::ZERO);
    pair.target.durable_later()().unwrap();
    assert_eq!(finished(&to.root()), Some(false));
    let ended = |kind, verdict| {
        let at = Timestamp { seconds: 1, nanoseconds: 0 };
        Pass { kind, number: 1, verdict, receipt: [7; 32], ended: at, scan_began: at, scan_ended: at }
    };
    for (kind, verdict, finishes) in [
        (PassKind::Stage, 0, false),
        (PassKind::Cutover, 42, false),
        (PassKind::Cutover, 43, false),
        (PassKind::Cutover, 40, true),
        (PassKind::Cutover, 0, true),
    ] {
        pair.target.record_pass_later(ended(kind, verdict))().unwrap();
        assert_eq!(finished(&to.root()), Some(finishes), "{kind:?} {verdict}");
    }
    pair.target.leave_later()().unwrap();
    assert_eq!(finished(&to.root()), None);
    assert!(!to.root().join(".pvferry").exists());
    assert_eq!(fs::metadata(to.root()).unwrap().modified().unwrap(), long_ago);
}

#[test]
fn what_an_earlier_session_wrote_stays() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("file"), noise(1, 100_000)).unwrap();
    drop(unfinished(&from, &to, Terms::default(), Duration::ZERO));
    let pair = Pair::on_terms(&from.root(), &to.root(), Terms::default(), Duration::ZERO);
    assert!(!pair.target.history().fresh && to.root().join("file").exists());
    assert_eq!(pair.target.history().epoch, 2);
}

#[test]
fn data_that_no_journal_tells_of_is_refused_and_untouched_unless_it_is_accepted() {
    let to = Place::new();
    fs::write(to.root().join("given"), "data").unwrap();
    let listener = listener(pki::target());
    let refused = |terms| try_target(&to.root(), &listener, terms).map(drop).unwrap_err();
    assert_eq!(refused(Terms::default()).kind, ErrorKind::Volume);
    assert_eq!(refused(Terms { discard_journal: true, ..Terms::default() }).kind, ErrorKind::Volume);
    assert!(!to.root().join(".pvferry").exists());
    let accepted = try_target(&to.root(), &listener, Terms { accept_contents: true, ..Terms::default() }).unwrap();
    assert!(accepted.0.history().fresh && to.root().join("given").exists());
}

#[test]
fn a_second_session_is_refused_while_the_first_one_lives() {
    let to = Place::new();
    let listener = listener(pki::target());
    let first = target(&to.root(), 1, &listener);
    let second = |listener: &Listener| try_target(&to.root(), listener, Terms::default()).map(drop);
    assert_eq!(second(&listener).unwrap_err().kind, ErrorKind::Busy);
    first.0.gone_later()().unwrap();
    second(&listener).unwrap();
}

/// As a power failure may leave it: whole by name, size and time, and other bytes in it.
#[test]
fn without_its_journal_everything_is_compared_by_content() {
    let (from, to) = (Place::new(), Place::new());
    fs::write(from.root().join("small"), noise(1, 1_000)).unwrap();
    fs::write(from.root().join("large"), noise(2, 3 << 20)).unwrap();
    drop(unfinished(&from, &to, Terms::default(), Duration::ZERO));
    for name in ["small", "large"] {
        let file = fs::File::options().write(true).open(to.root().join(name)).unwrap();
        let times = FileTimes::new().set_modified(file.metadata().unwrap().modified().unwrap());
        file.write_all_at(b"xxxx", 500).unwrap();
        file.set_times(times).unwrap();
    }
    let discard = Terms { discard_journal: true, ..Terms::default() };
    let mut pair = Pair::on_terms(&from.root(), &to.root(), discard, Duration::ZERO);
    assert_eq!(pair.target.history().doubt.unwrap().from, EVER);
    let settled = pair.copy();
    assert_eq!(roots(&from.root()), roots(&to.root()));
    assert_eq!(settled.target.assumed, 0);
}
