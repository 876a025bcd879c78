//! Reading a journal without its lock: what is appended meanwhile is a torn tail at worst, and a journal that is written
//! anew takes the name in one step.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use super::file::{Fault, Reading, parse};
use super::history::State;
use super::lock::held_by;
use super::record::{Doubt, Part, Pass, Record, Torn};
use super::writer::{boot_id, now};
use super::{FORMAT, FORMAT_TORN, JOURNAL, MAX_JOURNAL};
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::open::{Opener, open_volume};
use crate::fs::stat::stat_fd;
use crate::scan::read::read_at;
use crate::scan::shown::shown;
use crate::scan::volume::OWN_FOLDER;

/// All that a journal says.
#[derive(Clone, Debug)]
pub struct Look {
    pub path: PathBuf,
    pub transfer: String,
    /// Of the file, its torn tail included.
    pub bytes: u64,
    /// Who writes to the volume now.
    pub held_by: Option<String>,
    /// Nothing is left to do but to remove pvferry's folder.
    pub is_finished: bool,
    pub records: Vec<Record>,
    pub parts: Vec<Part>,
    pub torn: Vec<Torn>,
    pub doubt: Option<Doubt>,
}

/// Reads the journal of the volume at this path; None when it has none.
pub fn look(volume: &Path) -> Result<Option<Look>, CoreError> {
    let failed = |errno: Errno| {
        let what = format!("The volume {} cannot be read", volume.display());
        CoreError::from_io(ErrorKind::Volume, what, &std::io::Error::from(errno))
    };
    let root = open_volume(volume).map_err(failed)?;
    let opener = Opener::new(false);
    let path = path_of(volume);
    let unreadable =
        |errno: Errno| CoreError::from_io(ErrorKind::Volume, cannot_read(&path), &std::io::Error::from(errno));
    let Some(bytes) = contents(&opener, root.as_fd()).map_err(unreadable)? else { return Ok(None) };
    let reading = parse(&bytes).map_err(|fault| told(&path, &fault))?;
    let state = State::of(&reading.records);
    Ok(Some(Look {
        transfer: reading.transfer,
        bytes: bytes.len() as u64,
        held_by: held_by(&opener, root.as_fd()),
        is_finished: state.finished().is_some(),
        torn: state.torn().collect(),
        parts: state.parts.into_values().collect(),
        doubt: state.doubt,
        records: reading.records.into_iter().map(|(_, record)| record).collect(),
        path,
    }))
}

/// What the session to come would not believe of the files that are there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coming {
    pub(crate) doubt: Option<Doubt>,
    /// Inodes, by path.
    pub(crate) torn: BTreeMap<Vec<u8>, u64>,
}

/// As far as can be told without being that session (docs/journal.md, "session").
pub(crate) fn coming(opener: &Opener, root: BorrowedFd<'_>) -> Coming {
    let Some(bytes) = contents(opener, root).ok().flatten() else { return Coming::default() };
    let Ok(reading) = parse(&bytes) else { return Coming::default() };
    let state = State::of(&reading.records);
    Coming { doubt: state.doubt_of(&boot_id(), now()), torn: state.torn }
}

/// What of it matters before a copy begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brief {
    pub(crate) transfer: Option<String>,
    /// The pass that finished the copy, when nothing is left to do but to remove pvferry's folder.
    pub(crate) finished: Option<Pass>,
    /// What a target would end with.
    pub(crate) error: Option<CoreError>,
    pub(crate) held_by: Option<String>,
}

pub(crate) fn brief(opener: &Opener, root: BorrowedFd<'_>, volume: &Path) -> Brief {
    let path = path_of(volume);
    let held_by = held_by(opener, root);
    let unreadable = |errno: Errno| {
        let kind = if errno == Errno::IO { ErrorKind::Io } else { ErrorKind::Volume };
        CoreError::from_io(kind, cannot_read(&path), &std::io::Error::from(errno))
    };
    match contents(opener, root) {
        Ok(None) => Brief { held_by, ..Brief::default() },
        Ok(Some(bytes)) => match parse(&bytes) {
            Ok(reading) => {
                let finished = State::of(&reading.records).finished();
                Brief { transfer: Some(reading.transfer), finished, error: None, held_by }
            }
            Err(fault) => Brief { error: Some(told(&path, &fault)), held_by, ..Brief::default() },
        },
        Err(errno) => Brief { error: Some(unreadable(errno)), held_by, ..Brief::default() },
    }
}

fn cannot_read(path: &Path) -> String {
    format!("The journal {} cannot be read", path.display())
}

pub(in crate::target) fn path_of(volume: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let name = |bytes| std::ffi::OsStr::from_bytes(bytes);
    volume.join(name(OWN_FOLDER)).join(name(JOURNAL))
}

fn contents(opener: &Opener, root: BorrowedFd<'_>) -> Result<Option<Vec<u8>>, Errno> {
    match opener.directory(root, OWN_FOLDER) {
        Ok(folder) => contents_in(opener, folder.as_fd()),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The bytes of the journal, at most one more than a journal may have.
pub(super) fn contents_in(opener: &Opener, folder: BorrowedFd<'_>) -> Result<Option<Vec<u8>>, Errno> {
    let file = match opener.file(folder, JOURNAL) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let size = stat_fd(file.as_fd())?.size.min(MAX_JOURNAL + 1);
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    let length = read_at(file.as_fd(), &mut bytes, 0)?;
    bytes.truncate(length);
    Ok(Some(bytes))
}

/// A fault in words.
pub(super) fn told(path: &Path, fault: &Fault) -> CoreError {
    let what = match fault {
        Fault::Header => "is damaged: it does not begin like a journal".to_owned(),
        Fault::Version(version) => {
            format!(
                "is of format {version}, written by another release; this one reads the formats {FORMAT} and {FORMAT_TORN}"
            )
        }
        Fault::TooLarge => format!("is damaged: it is larger than {} MiB", MAX_JOURNAL >> 20),
        Fault::Record(reading) => {
            format!("is damaged at byte {}; readable before that: {}", reading.end, told_reading(reading))
        }
    };
    CoreError::new(ErrorKind::Journal, format!("The journal {} {what}.", path.display()))
}

fn told_reading(reading: &Reading) -> String {
    let count = |is: fn(&Record) -> bool, what: &str| {
        let count = reading.records.iter().filter(|(_, record)| is(record)).count();
        format!("{count} {what}{}", if count == 1 { "" } else { "s" })
    };
    let parts = State::of(&reading.records).parts.len();
    format!(
        "{}, {}, {} of the transfer {}, parts of {parts} large file{}",
        count(|record| matches!(record, Record::Session(_)), "session"),
        count(|record| matches!(record, Record::Checkpoint(_)), "checkpoint"),
        count(|record| matches!(record, Record::Pass(_)), "finished pass").replace("passs", "passes"),
        shown(reading.transfer.as_bytes()),
        if parts == 1 { "" } else { "s" },
    )
}

pub(in crate::target) fn foreign(path: &Path, theirs: &str, ours: &str) -> CoreError {
    let (theirs, ours) = (shown(theirs.as_bytes()), shown(ours.as_bytes()));
    let text = format!("The journal {} belongs to the transfer {theirs}, not to {ours}.", path.display());
    CoreError::new(ErrorKind::Journal, text)
}
