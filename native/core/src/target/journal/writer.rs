//! The journal of a running session: found or made, appended to, checkpointed, and written anew when it has grown.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::time::{ClockId, clock_gettime};

use super::file::{Reading, Sum, encode, header, parse, put_record};
use super::history::{EVER, History, State};
use super::look::{contents_in, foreign, path_of, told};
use super::record::{Checkpoint, Doubt, Record, Session, Torn, check_part_name};
use super::{
    COMPACT_ABOVE, FORMAT, FORMAT_TORN, JOURNAL, JOURNAL_NEW, MAX_JOURNAL, MAX_PARTS, MAX_RANGES, MAX_TORN,
    MAX_TORN_PATH,
};
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::make;
use crate::fs::open::Opener;
use crate::fs::space::sync_volume;
use crate::fs::stat::{Timestamp, stat_fd};
use crate::target::clearing::volume_error;

/// Blocks that belong to the journal from its beginning, so that a volume that the copy fills to the last byte can still
/// be checkpointed.
const RESERVED_BYTES: u64 = 64 << 10;

/// A journal with its session begun. The caller holds the folder's lock.
pub struct Journal {
    folder: OwnedFd,
    volume: PathBuf,
    transfer: String,
    boot: [u8; 16],
    inner: Mutex<Inner>,
    /// One checkpoint at a time.
    checkpoints: Mutex<()>,
}

struct Inner {
    file: OwnedFd,
    format: u16,
    end: u64,
    sum: Sum,
    /// Written and not known to be on disk.
    dirty: bool,
    /// A checkpoint's position is on its way: offsets must not move.
    pinned: bool,
    closed: bool,
    compact_above: u64,
    state: State,
}

pub struct Opened {
    pub journal: Journal,
    pub history: History,
}

impl Journal {
    /// Opens the journal in pvferry's folder, or makes it, and records that a session began. With `discard`, whatever
    /// is there is replaced in one step by a journal that doubts all files there are. Errors of kind journal: it is of
    /// another transfer or version, or damaged.
    pub fn open(folder: BorrowedFd<'_>, volume: &Path, transfer: &str, discard: bool) -> Result<Opened, CoreError> {
        let failed = |errno: Errno| volume_error(volume, "cannot be written (.pvferry/journal)", errno);
        let opener = Opener::new(false);
        let found = contents_in(&opener, folder).map_err(failed)?;
        let folder = rustix::io::fcntl_dupfd_cloexec(folder, 0).map_err(failed)?;
        let place = Place { folder, volume, transfer, boot: boot_id() };
        match found {
            Some(bytes) if !discard => {
                let reading = accepted(volume, &bytes, transfer)?;
                let state = State::of(&reading.records);
                place.take_up(&opener, &reading, state).map_err(failed)
            }
            found => place.begin(found.is_some()).map_err(failed),
        }
    }

    /// Appends in as few writes as possible. Sessions, checkpoints and passes are on disk when this returns.
    pub fn append(&self, records: &[Record]) -> Result<(), CoreError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(ended());
        }
        let mut names = HashSet::new();
        let records: Vec<Record> = records.iter().filter_map(|record| inner.admitted(record, &mut names)).collect();
        inner.write(&records).map_err(|errno| self.failed(errno))?;
        self.compact_if_grown(&mut inner)
    }

    /// Records that a file is about to be written into itself; on disk when this returns. False, and nothing is recorded,
    /// when the journal cannot hold it: too long a path, too many torn files, no room.
    pub fn mark_torn(&self, torn: &Torn) -> Result<bool, CoreError> {
        // A journal that is written anew must not move under a checkpoint.
        let _turn = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let mut inner = self.lock();
        if inner.closed {
            return Err(ended());
        }
        let known = inner.state.torn.contains_key(&torn.path);
        if torn.path.len() > MAX_TORN_PATH || (!known && inner.state.torn.len() >= MAX_TORN) {
            return Ok(false);
        }
        let record = Record::Torn(torn.clone());
        let marked =
            if inner.format == FORMAT_TORN { inner.write(&[record]) } else { self.begin_torn(&mut inner, &record) };
        match marked {
            Ok(()) => Ok(true),
            Err(Errno::NOSPC | Errno::DQUOT) => Ok(false),
            Err(errno) => Err(self.failed(errno)),
        }
    }

    /// The first torn file of a journal of format 1 has it written anew, as one that older readers refuse.
    fn begin_torn(&self, inner: &mut Inner, record: &Record) -> Result<(), Errno> {
        let mut state = inner.state.clone();
        state.apply(inner.end, record);
        *inner = compacted(self.folder.as_fd(), &self.transfer, &state)?;
        Ok(())
    }

    pub fn has_torn(&self) -> bool {
        !self.lock().state.torn.is_empty()
    }

    /// Writes the whole volume to disk and records that. What is appended meanwhile waits for nothing.
    pub fn checkpoint(&self) -> Result<(), CoreError> {
        let _turn = self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        let (position, covers) = {
            let mut inner = self.lock();
            let covers = volume_clock(inner.file.as_fd()).map_err(|errno| self.failed(errno))?;
            inner.pinned = true;
            (inner.end, covers)
        };
        let synced = sync_volume(self.folder.as_fd());
        let mut inner = self.lock();
        inner.pinned = false;
        synced.map_err(|errno| volume_error(&self.volume, "could not be written to disk", errno))?;
        if inner.closed {
            return Ok(());
        }
        let number = inner.state.checkpoint.map_or(1, |last| last.number + 1);
        let checkpoint = Checkpoint { number, boot: self.boot, at: now(), covers, position };
        inner.write(&[Record::Checkpoint(checkpoint)]).map_err(|errno| self.failed(errno))?;
        self.compact_if_grown(&mut inner)
    }

    /// Nothing is written any more: the next session may have begun.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        // NFS and FUSE keep a removed file under another name for as long as it is open, and its folder with it.
        if let Ok(folder) = self.folder.try_clone() {
            inner.file = folder;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, errno: Errno) -> CoreError {
        volume_error(&self.volume, "cannot be written (.pvferry/journal)", errno)
    }

    fn compact_if_grown(&self, inner: &mut Inner) -> Result<(), CoreError> {
        if inner.pinned || inner.end <= inner.compact_above {
            return Ok(());
        }
        match compacted(self.folder.as_fd(), &self.transfer, &inner.state) {
            Ok(written) => {
                *inner = written;
                Ok(())
            }
            // No room for a second one: the first is as good.
            Err(Errno::NOSPC | Errno::DQUOT) => {
                inner.compact_above = 2 * inner.end;
                Ok(())
            }
            Err(errno) => Err(self.failed(errno)),
        }
    }
}

fn ended() -> CoreError {
    CoreError::new(ErrorKind::Interrupted, "The session was ended.")
}

fn accepted(volume: &Path, bytes: &[u8], transfer: &str) -> Result<Reading, CoreError> {
    let path = path_of(volume);
    let reading = parse(bytes).map_err(|fault| told(&path, &fault))?;
    if reading.transfer == transfer { Ok(reading) } else { Err(foreign(&path, &reading.transfer, transfer)) }
}

/// What opening needs to know.
struct Place<'a> {
    folder: OwnedFd,
    volume: &'a Path,
    transfer: &'a str,
    boot: [u8; 16],
}

impl Place<'_> {
    fn take_up(self, opener: &Opener, reading: &Reading, state: State) -> Result<Opened, Errno> {
        let file = opener.writable(self.folder.as_fd(), JOURNAL)?;
        rustix::fs::ftruncate(&file, reading.end)?;
        let clock = volume_clock(file.as_fd())?;
        let session = self.session(&state, clock, state.doubt_of(&self.boot, clock));
        let history = state.history(&session);
        // The cut, too, has to be on disk before anything follows it.
        let mut inner = Inner { dirty: true, ..Inner::behind(reading, file, state) };
        inner.write(&[Record::Session(session)])?;
        Ok(self.opened(inner, history))
    }

    fn begin(self, discarded: bool) -> Result<Opened, Errno> {
        let clock = volume_clock(self.folder.as_fd())?;
        let doubt = discarded.then_some(Doubt { from: EVER, until: clock });
        let session = self.session(&State::default(), clock, doubt);
        let history = State::default().history(&session);
        let mut state = State::default();
        state.apply(0, &Record::Session(session));
        let inner = compacted(self.folder.as_fd(), self.transfer, &state)?;
        Ok(self.opened(inner, history))
    }

    fn session(&self, before: &State, volume_clock: Timestamp, doubt: Option<Doubt>) -> Session {
        Session {
            epoch: before.session.as_ref().map_or(1, |last| last.epoch.saturating_add(1)),
            boot: self.boot,
            began: now(),
            volume_clock,
            doubt,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn opened(self, inner: Inner, history: History) -> Opened {
        let journal = Journal {
            folder: self.folder,
            volume: self.volume.to_owned(),
            transfer: self.transfer.to_owned(),
            boot: self.boot,
            inner: Mutex::new(inner),
            checkpoints: Mutex::default(),
        };
        Opened { journal, history }
    }
}

impl Inner {
    /// A journal that goes on behind what was read of it, all of which is on disk.
    fn behind(reading: &Reading, file: OwnedFd, state: State) -> Self {
        let Reading { format, end, sum, .. } = *reading;
        let compact_above = COMPACT_ABOVE.max(2 * end);
        Self { file, format, end, sum, dirty: false, pinned: false, closed: false, compact_above, state }
    }

    /// The record as it may be written. Progress that does not fit is left out, and costs no more than being made again.
    /// `names` are those of parts that the same batch adds.
    fn admitted<'a>(&self, record: &'a Record, names: &mut HashSet<&'a str>) -> Option<Record> {
        let Record::Part(part) = record else { return Some(record.clone()) };
        let known = self.state.parts.contains_key(&part.name) || names.contains(part.name.as_str());
        let full = self.end > MAX_JOURNAL / 2 || (!known && self.state.parts.len() + names.len() >= MAX_PARTS);
        if full || check_part_name(part.name.as_bytes()).is_err() {
            return None;
        }
        if !known {
            names.insert(&part.name);
        }
        let mut part = part.clone();
        part.ranges.truncate(MAX_RANGES);
        part.check().ok()?;
        Some(Record::Part(part))
    }

    fn write(&mut self, records: &[Record]) -> Result<(), Errno> {
        for batch in records.chunk_by(|one, next| !one.is_anchor() && !next.is_anchor()) {
            let anchored = batch.iter().any(Record::is_anchor);
            if anchored && self.dirty {
                rustix::fs::fsync(&self.file)?;
            }
            self.write_batch(batch)?;
            if anchored {
                rustix::fs::fsync(&self.file)?;
            }
            self.dirty = !anchored;
        }
        Ok(())
    }

    fn write_batch(&mut self, records: &[Record]) -> Result<(), Errno> {
        let (mut bytes, mut sum) = (Vec::new(), self.sum);
        let mut offsets = Vec::with_capacity(records.len());
        for record in records {
            offsets.push(self.end + bytes.len() as u64);
            sum = put_record(&mut bytes, sum, record);
        }
        if let Err(errno) = write_all(self.file.as_fd(), &bytes, self.end) {
            // What is there of it would look like damage once something follows.
            let _ = rustix::fs::ftruncate(&self.file, self.end);
            return Err(errno);
        }
        for (at, record) in offsets.into_iter().zip(records) {
            self.state.apply(at, record);
        }
        (self.end, self.sum) = (self.end + bytes.len() as u64, sum);
        Ok(())
    }
}

/// Writes a new journal with what this state needs, under a new nonce, and gives it the journal's name.
fn compacted(folder: BorrowedFd<'_>, transfer: &str, state: &State) -> Result<Inner, Errno> {
    let nonce = random()?;
    let start = header(transfer, &nonce, FORMAT).0.len() as u64;
    let size = |record: &Record| {
        let mut bytes = Vec::new();
        put_record(&mut bytes, Sum::default(), record);
        bytes.len() as u64
    };
    let bytes = encode(transfer, &nonce, &state.compacted(start, size));
    match make::unlink(folder, JOURNAL_NEW) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let opener = Opener::new(false);
    let file = opener.create_file(folder, JOURNAL_NEW, 0o600)?;
    // Not every file system can.
    let _ = rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVED_BYTES);
    let written = write_all(file.as_fd(), &bytes, 0).and_then(|()| rustix::fs::fsync(&file));
    if let Err(errno) = written {
        let _ = make::unlink(folder, JOURNAL_NEW);
        return Err(errno);
    }
    make::rename(folder, JOURNAL_NEW, folder, JOURNAL)?;
    rustix::fs::fsync(folder)?;
    // What was written is what a later session will read; a defect in between must not wait until then.
    let reading = parse(&bytes).map_err(|_| Errno::INVAL)?;
    Ok(Inner::behind(&reading, file, State::of(&reading.records)))
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => (bytes, at) = (&bytes[written..], at + written as u64),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The moment as the file system sees it, which over NFS is another machine's.
fn volume_clock(file: BorrowedFd<'_>) -> Result<Timestamp, Errno> {
    let stamp = |nanoseconds| Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: stamp(UTIME_OMIT), last_modification: stamp(UTIME_NOW) };
    rustix::fs::futimens(file, &times)?;
    Ok(stat_fd(file)?.ctime)
}

pub(in crate::target) fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Realtime);
    Timestamp { seconds: time.tv_sec, nanoseconds: u32::try_from(time.tv_nsec).unwrap_or(0) }
}

pub(super) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0).to_be_bytes()
}

fn random() -> Result<[u8; 16], Errno> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes)
}
