//! The sending half of a control connection: a bounded queue, one writer thread, and an orderly end.

use crate::promise::Pending;
use pvferry_core::error::{CoreError, ErrorKind};
use pvferry_core::net::{Duplex, TlsStream};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A peer that does not read must not make this process grow.
const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

/// Between two looks at the deadline; the stream's own timeout only watches for progress.
const PIECE_BYTES: usize = 64 * 1024;

/// How long close() waits for what is queued, and again for the peer's own end.
const CLOSING: Duration = Duration::from_secs(1);

pub(super) struct Outgoing {
    stream: Arc<TlsStream>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// The writer thread exists.
    running: bool,
    /// The writer is in the middle of a job.
    busy: bool,
    closed: bool,
}

struct Job {
    bytes: Vec<u8>,
    deadline: Instant,
    pending: Pending<()>,
}

impl Outgoing {
    pub(super) fn new(stream: Arc<TlsStream>) -> Self {
        Self { stream, queue: Mutex::default(), changed: Condvar::new() }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn push(this: &Arc<Self>, bytes: Vec<u8>, timeout: Duration, pending: Pending<()>) {
        let mut queue = this.lock();
        if let Some(refusal) = this.refusal(&queue, bytes.len()) {
            drop(queue);
            pending.settle(Err(refusal));
            return;
        }
        queue.bytes += bytes.len();
        queue.jobs.push_back(Job { bytes, deadline: Instant::now() + timeout, pending });
        if !queue.running {
            let own = Arc::clone(this);
            // Without a thread the job stays queued, and the next send tries again.
            queue.running = std::thread::Builder::new()
                .name("pvferry-send".to_owned())
                .spawn(move || own.write_until_closed())
                .is_ok();
        }
        this.changed.notify_all();
    }

    /// What is queued goes out first, then close_notify; all in the background. May be called twice.
    pub(super) fn close(this: &Arc<Self>) {
        let mut queue = this.lock();
        if queue.closed {
            return;
        }
        queue.closed = true;
        this.changed.notify_all();
        drop(queue);
        let own = Arc::clone(this);
        let spawned = std::thread::Builder::new().name("pvferry-close".to_owned()).spawn(move || own.finish());
        if spawned.is_err() {
            this.stream.abort();
        }
    }

    fn refusal(&self, queue: &Queue, more: usize) -> Option<CoreError> {
        let peer = self.stream.peer();
        if queue.closed {
            return Some(CoreError::network(format!("The connection to {peer} was closed on this side.")));
        }
        (queue.bytes + more > MAX_QUEUED_BYTES).then(|| {
            CoreError::network(format!(
                "Too much waits to be sent to {peer}: {} bytes; it reads too slowly.",
                queue.bytes
            ))
        })
    }

    fn finish(&self) {
        let deadline = Instant::now() + CLOSING;
        let mut queue = self.lock();
        while queue.running && (queue.busy || !queue.jobs.is_empty()) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.changed.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(queue);
        self.stream.finish(CLOSING);
    }

    fn write_until_closed(&self) {
        while let Some(job) = self.next() {
            let result = self.write(&job);
            let mut queue = self.lock();
            queue.busy = false;
            queue.bytes -= job.bytes.len();
            self.changed.notify_all();
            drop(queue);
            job.pending.settle(result);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.busy = true;
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn write(&self, job: &Job) -> Result<(), CoreError> {
        for piece in job.bytes.chunks(PIECE_BYTES) {
            let left = job.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // A message cut off in the middle would make all that follows unreadable.
                self.stream.abort();
                return Err(CoreError::new(
                    ErrorKind::Network,
                    format!("{} does not take what is sent to it.", self.stream.peer()),
                ));
            }
            self.stream.write_all(&[piece], left)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
