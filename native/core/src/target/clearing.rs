//! pvferry's own folder at the root of a target: it says that a copy is unfinished, whose it is, and holds the parts of
//! large files. An empty volume gets it before the first write; what is found beside it came from that copy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::clear::{clear, clear_until};
use crate::fs::list::Listing;
use crate::fs::make;
use crate::fs::open::{Opener, open_volume};
use crate::scan::read::read_at;
use crate::scan::shown::shown;
use crate::scan::volume::{OWN_FOLDER, RESERVED};
use crate::session::stop::Stop;

/// The file that holds the transfer; its text is at most so long.
const TRANSFER: &[u8] = b"transfer";
const MAX_TRANSFER: usize = 1_024;
const PARTS: &[u8] = b"parts";
/// Names shown by a refusal.
const SHOWN: usize = 5;

/// The folders of an unfinished copy.
pub(super) struct Own {
    pub(super) folder: OwnedFd,
    pub(super) parts: OwnedFd,
}

/// The transfer that an unfinished copy recorded in this volume; None when there is none.
pub(crate) fn unfinished_transfer(opener: &Opener, root: BorrowedFd<'_>) -> Result<Option<String>, Errno> {
    match opener.directory(root, OWN_FOLDER) {
        Ok(folder) => recorded(opener, folder.as_fd()),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn recorded(opener: &Opener, folder: BorrowedFd<'_>) -> Result<Option<String>, Errno> {
    let file = match opener.file(folder, TRANSFER) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut text = vec![0; MAX_TRANSFER];
    let length = read_at(file.as_fd(), &mut text, 0)?;
    text.truncate(length);
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}

/// Makes the volume ours: refuses what holds anything else, removes what an earlier try of this transfer left.
///
/// With `compare` everything stays.
pub(super) fn occupy(
    opener: &Opener,
    root: BorrowedFd<'_>,
    path: &Path,
    transfer: &str,
    compare: bool,
) -> Result<Own, CoreError> {
    let failed = |what: &str, errno: Errno| volume_error(path, what, errno);
    if compare {
        return make_folders(opener, root, transfer).map_err(|errno| failed("cannot be written", errno));
    }
    let found = unfinished_transfer(opener, root).map_err(|errno| failed("cannot be read", errno))?;
    if found.as_deref() == Some(transfer) {
        clear_found(root, path, &Stop::default())?;
    } else {
        refuse_contents(root, path)?;
    }
    let made = make_folders(opener, root, transfer);
    made.map_err(|errno| failed("cannot be written", errno))
}

/// Removes what an earlier try of this transfer left; nothing where there was none. Opening the target does the same,
/// but its caller may not have the time: a million files take a minute. Ends with the error of `stop` once that is set;
/// what is left then is still known by the record, which stays.
pub fn clear_leftovers(path: &Path, transfer: &str, stop: &Stop) -> Result<(), CoreError> {
    let failed = |errno: Errno| volume_error(path, "cannot be read", errno);
    let root = open_volume(path).map_err(failed)?;
    let found = unfinished_transfer(&Opener::new(false), root.as_fd()).map_err(failed)?;
    if found.as_deref() == Some(transfer) { clear_found(root.as_fd(), path, stop) } else { Ok(()) }
}

fn clear_found(root: BorrowedFd<'_>, path: &Path, stop: &Stop) -> Result<(), CoreError> {
    clear_until(root, &RESERVED, &|| stop.is_stopped()).map(drop).map_err(|error| {
        if stop.is_stopped() {
            return stop.error();
        }
        let what = format!("holds {} of an earlier try, which cannot be removed", shown(&error.path));
        volume_error(path, &what, error.errno)
    })
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

fn make_folders(opener: &Opener, root: BorrowedFd<'_>, transfer: &str) -> Result<Own, Errno> {
    let folder = directory(opener, root, OWN_FOLDER)?;
    clear(folder.as_fd(), &[TRANSFER]).map_err(|error| error.errno)?;
    match make::unlink(folder.as_fd(), TRANSFER) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let file = opener.create_file(folder.as_fd(), TRANSFER, 0o600)?;
    rustix::io::write(&file, transfer.as_bytes())?;
    rustix::fs::fsync(&file)?;
    let parts = directory(opener, folder.as_fd(), PARTS)?;
    Ok(Own { folder, parts })
}

fn directory(opener: &Opener, parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    match opener.make_directory(parent, name) {
        Err(Errno::EXIST) => opener.directory(parent, name),
        other => other,
    }
}

/// Removes our folder: the copy is finished.
pub(super) fn leave(own: &Own, root: BorrowedFd<'_>) -> Result<(), Errno> {
    clear(own.folder.as_fd(), &[]).map_err(|error| error.errno)?;
    make::remove_directory(root, OWN_FOLDER)
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
