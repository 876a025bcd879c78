//! The life of a session, which is the same on both sides: what it tells, and that it ends once, well or badly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::events::{Event, Events, Sink};
use super::ledger::Outcome;
use super::stop::Stop;
use crate::digest::leaf::Leaf;
use crate::error::CoreError;

pub struct Life {
    pub stop: Stop,
    pub events: Events,
    settled: AtomicBool,
    ending: Mutex<Ending>,
}

/// A session has settled when both are there.
#[derive(Default)]
struct Ending {
    roots: Option<Leaf>,
    peer_settled: bool,
}

impl Life {
    pub fn new(sink: Sink) -> std::io::Result<Self> {
        Ok(Self {
            stop: Stop::default(),
            events: Events::new(sink)?,
            settled: AtomicBool::new(false),
            ending: Mutex::default(),
        })
    }

    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Settled or stopped: what becomes of the connections says nothing any more.
    pub fn is_over(&self) -> bool {
        self.is_settled() || self.stop.is_stopped()
    }

    pub fn peer_has_settled(&self) -> bool {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).peer_settled
    }
}

/// A side of a session: what its life needs of it, and what it gets in return.
pub trait Living: Send + Sync + 'static {
    fn life(&self) -> &Life;

    /// Closes all connections, and wakes whoever waits for them.
    fn shut(&self);

    /// Both sides have settled: no work is left, and this is what was done.
    fn conclude(&self, roots: Leaf) -> Outcome;

    /// Ends the session with an error. The first one is reported; one that comes after the end means nothing.
    fn fail(&self, error: CoreError) {
        let life = self.life();
        if life.is_settled() {
            return;
        }
        if life.stop.stop(Some(error.clone())) {
            life.events.send(Event::Failed(error));
        }
        self.shut();
    }

    /// Ends the session as wanted. No event follows.
    fn close(&self) {
        self.life().stop.stop(None);
        self.shut();
    }

    /// This side has settled, with these roots, and has told the peer.
    fn settle_here(&self, roots: Leaf) {
        let mut ending = self.life().ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.roots = Some(roots);
        end(self, &ending);
    }

    /// The peer says that it has settled.
    fn settle_there(&self) -> Result<(), CoreError> {
        let mut ending = self.life().ending.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut ending.peer_settled, true) {
            return Err(CoreError::protocol("The peer broke the protocol: it is settled twice."));
        }
        end(self, &ending);
        Ok(())
    }
}

/// The caller holds the lock on the ending, so that `Settled` is one event.
fn end(session: &(impl Living + ?Sized), ending: &Ending) {
    let (Some(roots), true) = (ending.roots, ending.peer_settled) else { return };
    let life = session.life();
    if life.settled.swap(true, Ordering::AcqRel) {
        return;
    }
    let outcome = session.conclude(roots);
    life.events.send(Event::Settled(Box::new(outcome)));
}
