//! pvferry's own folder at the root of a target: the lock, the journal, and the parts of large files. A volume gets it
//! before the first write, and loses it when the copy is finished and its source knows.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use super::journal::lock::{self, LOCK, Locked};
use super::journal::{History, JOURNAL, Journal, Opened};
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::clear::{ClearError, clear};
use crate::fs::list::Listing;
use crate::fs::make;
use crate::fs::open::Opener;
use crate::fs::stat::stat_at;
use crate::scan::shown::shown;
use crate::scan::volume::{OWN_FOLDER, RESERVED};

const PARTS: &[u8] = b"parts";
/// Names shown by a refusal.
const SHOWN: usize = 5;

/// What a target may find in its volume, and what becomes of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Data that no journal tells of is no obstacle.
    pub accept_contents: bool,
    /// Whatever journal there is gives way to a new one.
    pub discard_journal: bool,
}

/// The folders of an unfinished copy, locked.
pub(super) struct Own {
    locked: Locked,
    pub(super) parts: OwnedFd,
    pub(super) journal: Arc<Journal>,
}

/// The volume is ours.
pub(super) struct Occupied {
    pub(super) own: Own,
    pub(super) history: History,
}

impl Own {
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.locked.folder.as_fd()
    }
}

/// Makes the volume ours: locks it, and refuses what the terms do not allow, in this order.
pub(super) fn occupy(
    opener: &Opener,
    root: BorrowedFd<'_>,
    path: &Path,
    transfer: &str,
    terms: Terms,
) -> Result<Occupied, CoreError> {
    let failed = |errno: Errno| volume_error(path, "cannot be written", errno);
    let strange = || if terms.accept_contents { Ok(()) } else { refuse_contents(root, path) };
    if !has_journal(opener, root).map_err(failed)? {
        // Nothing is made in a volume that is somebody else's, not even a lock.
        strange()?;
    }
    let locked = lock::take(opener, root, path)?;
    let found = has_journal(opener, root).map_err(failed)?;
    if !found && let Err(error) = strange() {
        // The agent before has just finished this volume, and has left it.
        let _ = leave_folder(&locked, root);
        return Err(error);
    }
    let Opened { journal, history } = Journal::open(locked.folder.as_fd(), path, transfer, terms.discard_journal)?;
    let parts = prepare_folder(opener, locked.folder.as_fd(), &history).map_err(failed)?;
    rustix::fs::fsync(root).map_err(failed)?;
    let own = Own { locked, parts, journal: Arc::new(journal) };
    Ok(Occupied { own, history })
}

fn has_journal(opener: &Opener, root: BorrowedFd<'_>) -> Result<bool, Errno> {
    let stat = opener.directory(root, OWN_FOLDER).and_then(|folder| stat_at(folder.as_fd(), JOURNAL));
    match stat {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn refuse_contents(root: BorrowedFd<'_>, path: &Path) -> Result<(), CoreError> {
    let names =
        Listing::first(root, SHOWN + 1, &RESERVED).map_err(|errno| volume_error(path, "cannot be read", errno))?;
    if names.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| shown(name)).collect();
    let more = if names.len() > SHOWN { " and more" } else { "" };
    let text = format!("The target volume {} is not empty: it holds {}{more}.", path.display(), shown.join(", "));
    Err(CoreError::new(ErrorKind::Volume, text).with_errno(Some(Errno::NOTEMPTY.raw_os_error())))
}

/// The folder of parts, with those that the journal knows and nothing else. What a probe left behind goes as well.
fn prepare_folder(opener: &Opener, folder: BorrowedFd<'_>, history: &History) -> Result<OwnedFd, Errno> {
    let of_clear = |error: ClearError| error.errno;
    clear(folder, &[LOCK, JOURNAL, PARTS]).map_err(of_clear)?;
    let parts = match opener.make_directory(folder, PARTS) {
        Err(Errno::EXIST) => opener.directory(folder, PARTS)?,
        other => other?,
    };
    let known: Vec<&[u8]> = history.parts.iter().map(|part| part.name.as_bytes()).collect();
    clear(parts.as_fd(), &known).map_err(of_clear)?;
    Ok(parts)
}

/// Removes our folder: the copy is finished. Its journal goes when there is nothing else to remove but the lock, so that
/// whoever comes after a kill finds whose it is; the lock is held until the end.
pub(super) fn leave(own: &Own, root: BorrowedFd<'_>) -> Result<(), Errno> {
    own.journal.close();
    leave_locked(&own.locked, root)
}

/// The same of a journal that is not open.
pub(super) fn leave_locked(locked: &Locked, root: BorrowedFd<'_>) -> Result<(), Errno> {
    clear(locked.folder.as_fd(), &[LOCK, JOURNAL]).map_err(|error| error.errno)?;
    make::unlink(locked.folder.as_fd(), JOURNAL)?;
    leave_folder(locked, root)
}

pub(super) fn leave_folder(locked: &Locked, root: BorrowedFd<'_>) -> Result<(), Errno> {
    make::unlink(locked.folder.as_fd(), LOCK)?;
    if make::remove_directory(root, OWN_FOLDER).is_ok() {
        return Ok(());
    }
    // NFS and FUSE keep a removed file under another name for as long as it is open.
    locked.let_go();
    match make::remove_directory(root, OWN_FOLDER) {
        // Another agent was quick to put a lock of its own there; the folder is its concern now.
        Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

pub(super) fn volume_error(path: &Path, what: &str, errno: Errno) -> CoreError {
    let kind = match errno {
        Errno::NOSPC | Errno::DQUOT => ErrorKind::Space,
        Errno::IO => ErrorKind::Io,
        _ => ErrorKind::Volume,
    };
    let what = format!("The target volume {} {what}", path.display());
    CoreError::from_io(kind, what, &std::io::Error::from(errno))
}
