//! Reading back: what was written is synced, read from the medium, and compared with what was to be written, behind the
//! copy. Lanes put their work here instead of finishing it; what is on the medium is finished by the threads of this
//! module, what is not is written once more from memory. docs/design.md, "Reading back", says why.

mod copied;
mod large;
mod queue;
mod small;

use std::sync::Arc;
use std::thread;

pub(super) use large::{WholeFile, WrittenPiece};
pub(super) use queue::{Job, Queue};
pub(super) use small::WrittenFile;

use super::large::Large;
use super::session::Shared;
use crate::digest::file::PIECE;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::medium::{Medium, MediumReader};
use crate::session::item::{Item, ItemClass, Side};
use crate::session::life::Living;

/// How many files or pieces are read at a time: it is the medium that they wait for.
const READERS: usize = 4;

/// More large files than this are synced by one syncfs, fewer by an fdatasync each.
const SYNCED_ALONE: usize = 4;

/// Why something is not on the medium as it was written; the errno when it could not be read.
type Cause = Option<Errno>;

/// What reading back says.
enum Found {
    AsWritten,
    Damaged(Cause),
    /// Nothing about the medium: this process may not read the file, or the page cache does not let go of it.
    Unknown(Errno),
}

impl Found {
    /// Errors of this process's own, which say nothing about the file, come back.
    fn of(read: Result<bool, Errno>) -> Result<Self, Errno> {
        match read {
            Ok(true) => Ok(Self::AsWritten),
            Ok(false) => Ok(Self::Damaged(None)),
            Err(errno @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::INTR)) => Err(errno),
            Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::BUSY)) => Ok(Self::Unknown(errno)),
            Err(errno) => Ok(Self::Damaged(Some(errno))),
        }
    }
}

/// Starts the threads; they end with the session.
pub(super) fn start(shared: &Arc<Shared>) -> Result<(), CoreError> {
    let Some(queue) = &shared.read_back else { return Ok(()) };
    let waiting = Arc::clone(queue);
    shared.life.stop.on_stop(move || waiting.wake());
    run("sync", shared, Shared::sync_written)?;
    for _ in 0..READERS {
        run("read-back", shared, Shared::read_synced)?;
    }
    Ok(())
}

fn run(name: &str, shared: &Arc<Shared>, work: fn(&Shared, &Queue) -> Result<(), CoreError>) -> Result<(), CoreError> {
    let shared = Arc::clone(shared);
    let work = move || {
        let Some(queue) = &shared.read_back else { return };
        if let Err(error) = work(&shared, queue) {
            shared.fail(error);
        }
    };
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(CoreError::from)
}

impl Shared {
    fn sync_written(&self, queue: &Queue) -> Result<(), CoreError> {
        while let Some(group) = queue.take_written(&self.life.stop) {
            self.sync_group(&group)?;
            queue.put_synced(group);
        }
        Ok(())
    }

    /// Small files are on disk already where syncfs is not trusted.
    fn sync_group(&self, group: &[Job]) -> Result<(), CoreError> {
        let mut large: Vec<&Arc<Large>> = Vec::new();
        let mut small = false;
        for job in group {
            match job {
                Job::Files { .. } => small = true,
                Job::Piece(piece) if !large.iter().any(|known| Arc::ptr_eq(known, &piece.large)) => {
                    large.push(&piece.large);
                }
                Job::Piece(_) | Job::Whole(_) => {}
            }
        }
        if (small || large.len() > SYNCED_ALONE) && !self.volume.fsync_each {
            return self.volume.sync();
        }
        for large in large {
            rustix::fs::fdatasync(&large.part.fd).map_err(|errno| self.volume.fatal(errno, &large.announced.path()))?;
        }
        Ok(())
    }

    fn read_synced(&self, queue: &Queue) -> Result<(), CoreError> {
        let mut reader = MediumReader::new(queue.medium(), PIECE as usize + 1);
        while let Some((job, weight)) = queue.take_synced(&self.life.stop) {
            let done = match job {
                Job::Files { files, data } => self.read_back_files(files, &data, &mut reader),
                Job::Piece(piece) => self.read_back_piece(&piece, &mut reader),
                Job::Whole(whole) => self.finish_read_back(&whole),
            };
            queue.release(weight);
            done?;
        }
        Ok(())
    }

    /// Reads a file of this many bytes back; `look` reads it, after it has written it once more when it is told to. False when
    /// it is not on the medium even then.
    fn keep_whole<E>(
        &self,
        path: Vec<u8>,
        bytes: u64,
        mut look: impl FnMut(bool) -> Result<Found, E>,
    ) -> Result<bool, E> {
        let cause = match look(false)? {
            Found::AsWritten => {
                self.ledger.count_read_back(bytes);
                return Ok(true);
            }
            // Without privilege, for one, a file whose own mode forbids reading.
            Found::Unknown(errno) => {
                self.report_unknown(path, errno);
                return Ok(true);
            }
            Found::Damaged(cause) => cause,
        };
        let what = format!("all {bytes} bytes");
        let cause = match look(true)? {
            Found::AsWritten => {
                self.report_damage(ItemClass::Repaired, path, &what, cause);
                self.ledger.count_read_back(bytes);
                return Ok(true);
            }
            Found::Unknown(errno) => Some(errno),
            Found::Damaged(cause) => cause,
        };
        self.report_damage(ItemClass::Corrupted, path, &what, cause);
        Ok(false)
    }

    /// Says that a file, or a part of it, was not on the medium as it had been written, and what became of that.
    fn report_damage(&self, class: ItemClass, path: Vec<u8>, what: &str, cause: Cause) {
        let found = if cause.is_some() { "not readable" } else { "not what was written" };
        let then = match class {
            ItemClass::Repaired => "written again, which helped",
            _ => "also after it was written again; the file was left out",
        };
        let detail = format!("read back: {what}: {found}; {then}");
        let mut item = Item::said(Side::Target, class, path, "data", detail);
        item.errno = cause.map_or(0, Errno::raw_os_error);
        self.report(item);
    }

    /// A file was not read back, and counts as streamed.
    fn report_unknown(&self, path: Vec<u8>, errno: Errno) {
        self.report(Item::failed(Side::Target, ItemClass::Skipped, path, "read-back", errno));
    }

    /// How files that are compared are read: from the medium as well, as far as the page cache lets go of them.
    pub(super) fn reads_medium(&self) -> bool {
        self.read_back.as_ref().is_some_and(|queue| queue.medium() != Medium::None)
    }
}
