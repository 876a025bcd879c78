//! Reading ahead: both sides read at the same time, so that a comparison takes as long as the slower of them, and one huge
//! file no longer than its reading.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::files::ToCheck;
use super::session::Looking;
use crate::digest::Digest;
use crate::digest::file::Form;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::stat::stat_fd;
use crate::scan::digest::digest_file;
use crate::scan::read::{form_of, stood_still};

/// What reading a file gave.
pub(super) enum Bytes {
    Read(Form, Digest),
    /// It is another one than was looked at, or changed meanwhile.
    Moved,
    Failed(Errno),
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<ToCheck>>,
    closed: bool,
}

#[derive(Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    changed: Condvar,
}

impl Readers {
    /// As many threads as the session has lanes: the source reads as many files at a time. They end with the session.
    pub(super) fn begin(looking: &Arc<Looking>, threads: u16) -> Result<(), CoreError> {
        for _ in 0..threads {
            let looking = Arc::clone(looking);
            thread::Builder::new().name("reader".into()).spawn(move || looking.read_ahead())?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, files: impl Iterator<Item = Arc<ToCheck>>) {
        self.lock().queue.extend(files);
        self.changed.notify_all();
    }

    /// Threads end when they are done with what they are at.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Arc<ToCheck>> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(file) = state.queue.pop_front() {
                return Some(file);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Looking {
    fn read_ahead(&self) {
        let mut buffer = Vec::new();
        while let Some(file) = self.readers.next() {
            file.bytes.get_or_init(|| self.read_file(&file, None, &mut buffer));
        }
    }

    /// The bytes of a file, in this form, or in the one that suits its holes.
    pub(super) fn read_file(&self, file: &ToCheck, form: Option<Form>, buffer: &mut Vec<u8>) -> Bytes {
        self.try_to_read(file, form, buffer).unwrap_or_else(|errno| match errno {
            Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::NOTDIR | Errno::STALE => Bytes::Moved,
            other => Bytes::Failed(other),
        })
    }

    fn try_to_read(&self, file: &ToCheck, form: Option<Form>, buffer: &mut Vec<u8>) -> Result<Bytes, Errno> {
        let fd = self.open_looked(file)?;
        let form = form.map_or_else(|| form_of(fd.as_fd(), file.stat.size), Ok)?;
        let before = stat_fd(fd.as_fd())?;
        let digest = digest_file(fd.as_fd(), form, file.stat.size, buffer, &self.life.stop)?;
        let still = before.key() == file.stat.key()
            && stood_still(&file.stat, &before)
            && stood_still(&before, &stat_fd(fd.as_fd())?);
        Ok(if still { Bytes::Read(form, digest) } else { Bytes::Moved })
    }
}
