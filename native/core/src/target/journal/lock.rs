//! The lock of a target volume: one agent at a time, whatever becomes of it.
//!
//! flock(2), because it belongs to the open file: the kernel lets go when the last descriptor is closed, however the
//! process ended; threads of one process that open it twice exclude each other as well, and a child that was forked
//! holds it no longer than it runs. Record locks of fcntl would be lost when any descriptor of the file is closed, and
//! their newer form (OFD) does what flock does, at the price of an interface of its own. Over NFS the client turns
//! flock into a lock at the server (Linux 2.6.12 and later), unless it is mounted with `nolock` or `local_lock=flock`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::open::Opener;
use crate::fs::stat::{stat_at, stat_fd};
use crate::scan::read::read_at;
use crate::scan::shown::shown;
use crate::scan::volume::OWN_FOLDER;
use crate::target::clearing::volume_error;

/// The file in `.pvferry/`; its text says who holds it, for those who are refused.
pub const LOCK: &[u8] = b"lock";
const MAX_HOLDER: usize = 256;
/// A holder that was killed is gone within this, and so are the last threads of a session that was closed.
const PATIENCE: Duration = Duration::from_millis(1_000);
const PAUSE: Duration = Duration::from_millis(25);

/// pvferry's folder, locked. Dropping it lets go.
#[derive(Debug)]
pub struct Locked {
    pub folder: OwnedFd,
    file: Mutex<Option<OwnedFd>>,
}

impl Locked {
    /// Lets go, and keeps the folder open.
    pub fn let_go(&self) {
        drop(self.file.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Makes the folder where it is missing, and locks it. An error of kind busy when another agent has it.
pub fn take(opener: &Opener, root: BorrowedFd<'_>, path: &Path) -> Result<Locked, CoreError> {
    take_in(opener, root, path, || made(opener, root))
}

/// Locks the folder that is there; None when it is gone.
pub fn take_found(opener: &Opener, root: BorrowedFd<'_>, path: &Path) -> Result<Option<Locked>, CoreError> {
    let found = || opener.directory(root, OWN_FOLDER);
    match take_in(opener, root, path, found) {
        Err(_) if matches!(found(), Err(Errno::NOENT)) => Ok(None),
        taken => taken.map(Some),
    }
}

fn take_in(
    opener: &Opener,
    root: BorrowedFd<'_>,
    path: &Path,
    folder: impl Fn() -> Result<OwnedFd, Errno>,
) -> Result<Locked, CoreError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match folder().and_then(|folder| attempt(opener, root, folder)) {
            Ok(Some(locked)) => return Ok(locked),
            Ok(None) if Instant::now() < deadline => {}
            // The folder went away under our hands.
            Err(Errno::NOENT) if Instant::now() < deadline => {}
            Ok(None) => return Err(busy(path, &holder(opener, root).unwrap_or_default())),
            Err(errno) => return Err(volume_error(path, "cannot be locked (.pvferry/lock)", errno)),
        }
        sleep(PAUSE);
    }
}

fn made(opener: &Opener, root: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    match opener.directory(root, OWN_FOLDER) {
        Err(Errno::NOENT) => match opener.make_directory(root, OWN_FOLDER) {
            Err(Errno::EXIST) => opener.directory(root, OWN_FOLDER),
            other => other,
        },
        other => other,
    }
}

fn attempt(opener: &Opener, root: BorrowedFd<'_>, folder: OwnedFd) -> Result<Option<Locked>, Errno> {
    let file = match opener.create_file(folder.as_fd(), LOCK, 0o600) {
        Err(Errno::EXIST) => opener.writable(folder.as_fd(), LOCK)?,
        other => other?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        other => other?,
    }
    // The holder before may have removed the file, or the whole folder, between our opening it and its letting go.
    let file_is = stat_at(folder.as_fd(), LOCK)?.key() == stat_fd(file.as_fd())?.key();
    let folder_is = stat_at(root, OWN_FOLDER)?.key() == stat_fd(folder.as_fd())?.key();
    if !file_is || !folder_is {
        return Ok(None);
    }
    // Only told to people: a full volume is no reason to fail.
    let _ = rustix::fs::ftruncate(&file, 0).and_then(|()| rustix::io::pwrite(&file, ourselves().as_bytes(), 0));
    Ok(Some(Locked { folder, file: Mutex::new(Some(file)) }))
}

fn ourselves() -> String {
    let name = rustix::system::uname();
    format!("process {} on {}", std::process::id(), name.nodename().to_string_lossy())
}

/// Which other process holds the lock of this volume; None when none does, or when this one may not know.
pub fn held_by(opener: &Opener, root: BorrowedFd<'_>) -> Option<String> {
    let folder = opener.directory(root, OWN_FOLDER).ok()?;
    let file = opener.file(folder.as_fd(), LOCK).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => holder(opener, root).filter(|holder| *holder != ourselves()),
        _ => None,
    }
}

fn holder(opener: &Opener, root: BorrowedFd<'_>) -> Option<String> {
    let folder = opener.directory(root, OWN_FOLDER).ok()?;
    let file = opener.file(folder.as_fd(), LOCK).ok()?;
    let mut text = vec![0; MAX_HOLDER];
    let length = read_at(file.as_fd(), &mut text, 0).unwrap_or(0);
    Some(shown(&text[..length]))
}

pub fn busy(path: &Path, holder: &str) -> CoreError {
    let by = if holder.is_empty() { String::new() } else { format!(" ({holder})") };
    let text = format!("The target volume {} is in use by another pvferry agent{by}.", path.display());
    CoreError::new(ErrorKind::Busy, text)
}
