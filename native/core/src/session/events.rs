//! Events of a session, gathered into batches by a thread of their own, so that one crossing carries many items.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::difference::Difference;
use super::item::Item;
use super::ledger::Outcome;
use crate::error::CoreError;

#[derive(Clone, Debug)]
pub enum Event {
    Items(Vec<Item>),
    /// Of a session that only looks.
    Differences(Vec<Difference>),
    /// `worked` says that frames were acknowledged on it.
    LaneLost {
        lane: u16,
        reason: String,
        worked: bool,
    },
    /// The index was lost before the target had bound it: nothing is lost with it, another may be attached.
    IndexLost(CoreError),
    /// Every entry is acknowledged; the closing walk begins (source, cutover pass).
    Closing,
    Settled(Box<Outcome>),
    Failed(CoreError),
}

/// Takes batches of events, in order. May block: the session then waits, and no item is lost.
pub type Sink = Box<dyn Fn(Vec<Event>) + Send>;

/// Events on their way, and what their items may weigh, bytes; a session that reports more waits for them to be taken.
const QUEUE: usize = 8_192;
const WEIGHT: usize = 8 << 20;
const BATCH: usize = 2_048;
const PATIENCE: Duration = Duration::from_millis(50);

/// The sending end. The thread behind it ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Events {
    sender: SyncSender<Event>,
    scales: Arc<Scales>,
}

impl Events {
    pub fn new(sink: Sink) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE);
        let scales = Arc::new(Scales::default());
        let weighing = Arc::clone(&scales);
        thread::Builder::new().name("events".into()).spawn(move || forward(&receiver, &weighing, &sink))?;
        Ok(Self { sender, scales })
    }

    pub fn send(&self, event: Event) {
        self.scales.put(weight(&event));
        // The thread outlives every sender; it is gone only when the process is ending.
        let _ = self.sender.send(event);
    }
}

/// What waits to be taken. Items come from the peer as well, who must not be able to fill the memory with them.
#[derive(Debug, Default)]
struct Scales {
    load: Mutex<usize>,
    changed: Condvar,
}

impl Scales {
    fn put(&self, weight: usize) {
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        while weight > 0 && *load > WEIGHT {
            load = self.changed.wait(load).unwrap_or_else(PoisonError::into_inner);
        }
        *load += weight;
    }

    fn take(&self, weight: usize) {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner) -= weight;
        self.changed.notify_all();
    }
}

fn weight(event: &Event) -> usize {
    match event {
        Event::Items(items) => {
            items.iter().map(|i| size_of::<Item>() + i.path.len() + i.what.len() + i.detail.len()).sum()
        }
        Event::Differences(differences) => differences.iter().map(Difference::weight).sum(),
        Event::LaneLost { .. } | Event::IndexLost(_) | Event::Closing | Event::Settled(_) | Event::Failed(_) => 0,
    }
}

fn forward(receiver: &Receiver<Event>, scales: &Scales, sink: &Sink) {
    while let Ok(first) = receiver.recv() {
        let mut batch = vec![first];
        let deadline = Instant::now() + PATIENCE;
        while batch.len() < BATCH && matches!(batch.last(), Some(Event::Items(_) | Event::Differences(_))) {
            match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => batch.push(event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        let taken = batch.iter().map(weight).sum();
        sink(batch);
        scales.take(taken);
    }
}
