//! Events of a session, gathered into batches by a thread of their own, so that one crossing carries many items.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::item::Item;
use super::ledger::Outcome;
use crate::error::CoreError;

#[derive(Clone, Debug)]
pub enum Event {
    Items(Vec<Item>),
    LaneLost { lane: u16, reason: String },
    Settled(Box<Outcome>),
    Failed(CoreError),
}

/// Takes batches of events, in order. May block: the session then waits, and no item is lost.
pub type Sink = Box<dyn Fn(Vec<Event>) + Send>;

/// Events on their way; a session that reports more waits for them to be taken.
const QUEUE: usize = 8_192;
const BATCH: usize = 2_048;
const PATIENCE: Duration = Duration::from_millis(50);

/// The sending end. The thread behind it ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Events(SyncSender<Event>);

impl Events {
    pub fn new(sink: Sink) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        thread::Builder::new().name("events".into()).spawn(move || forward(&receiver, &sink))?;
        Ok(Self(sender))
    }

    pub fn send(&self, event: Event) {
        // The thread outlives every sender; it is gone only when the process is ending.
        let _ = self.0.send(event);
    }
}

fn forward(receiver: &Receiver<Event>, sink: &Sink) {
    while let Ok(first) = receiver.recv() {
        let mut batch = vec![first];
        let deadline = Instant::now() + PATIENCE;
        while batch.len() < BATCH && matches!(batch.last(), Some(Event::Items(_))) {
            match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => batch.push(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        sink(batch);
    }
}
