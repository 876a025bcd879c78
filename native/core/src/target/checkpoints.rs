//! Checkpoints while a session runs, on a thread of their own: what a power failure can cost is bounded by their interval.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::journal::Journal;
use super::session::Shared;
use crate::error::CoreError;
use crate::session::counters::{Counter, Counters};
use crate::session::life::Living;

/// Starts them; they end with the session. The thread has no claim on the session while it waits for the disk, which
/// may take minutes, so that the next session need not wait for that.
pub(super) fn keep(shared: &Arc<Shared>, interval: Duration) -> Result<(), CoreError> {
    if interval.is_zero() {
        return Ok(());
    }
    let (stopped, wait) = channel::<()>();
    shared.life.stop.on_stop(move || {
        let _ = stopped.send(());
    });
    let journal = Arc::clone(shared.volume.journal());
    let shared = Arc::downgrade(shared);
    let work = move || {
        let mut before = Written::default();
        while wait.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            let Some(written) = now_written(&shared) else { return };
            if written != before {
                before = written;
                checkpoint(&journal, &shared);
            }
        }
    };
    thread::Builder::new().name("checkpoint".into()).spawn(work).map(drop).map_err(CoreError::from)
}

/// What of the counters tells that the volume has changed.
#[derive(Default, PartialEq, Eq)]
struct Written(u64, u64, u64);

fn now_written(shared: &Weak<Shared>) -> Option<Written> {
    let shared = shared.upgrade().filter(|shared| !shared.life.is_over())?;
    let get = |counter| Counters::get(&shared.counters, counter);
    Some(Written(get(Counter::EntriesDone), get(Counter::FilesDone), get(Counter::BytesDone)))
}

/// A write error that it learns of ends the session: the kernel may not tell it again.
fn checkpoint(journal: &Journal, shared: &Weak<Shared>) {
    // What has come of large files is covered if it is told before.
    let told = shared.upgrade().map_or(Ok(()), |shared| shared.record_parts());
    if let (Err(error), Some(shared)) = (told.and_then(|()| journal.checkpoint()), shared.upgrade()) {
        shared.fail(error);
    }
}
