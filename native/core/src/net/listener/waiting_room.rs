//! Peers that have not yet proven who they are. There is room for a fixed number; one more takes the oldest one's place,
//! because a peer that means well is through in a moment while those who linger do not.

use crate::net::socket::Socket;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct WaitingRoom {
    max: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    next: u64,
    closed: bool,
    /// Oldest first.
    peers: VecDeque<(u64, Arc<Socket>)>,
}

/// One peer's place; given up with the drop at the latest.
pub(super) struct Ticket {
    room: Arc<WaitingRoom>,
    id: u64,
}

impl WaitingRoom {
    pub(super) fn new(max: usize) -> Self {
        Self { max: max.max(1), inside: Mutex::new(Inside::default()) }
    }

    /// The second value says whether somebody had to go.
    pub(super) fn enter(self: &Arc<Self>, socket: &Arc<Socket>) -> (Ticket, bool) {
        let mut inside = self.lock();
        let displaced = inside.peers.len() >= self.max && inside.turn_out_oldest();
        let id = inside.next;
        inside.next += 1;
        if inside.closed {
            socket.abort();
        } else {
            inside.peers.push_back((id, Arc::clone(socket)));
        }
        drop(inside);
        let ticket = Ticket { room: Arc::clone(self), id };
        (ticket, displaced)
    }

    pub(super) fn displace_oldest(&self) -> bool {
        self.lock().turn_out_oldest()
    }

    pub(super) fn close(&self) {
        let mut inside = self.lock();
        inside.closed = true;
        while inside.turn_out_oldest() {}
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn turn_out_oldest(&mut self) -> bool {
        match self.peers.pop_front() {
            Some((_, socket)) => {
                socket.abort();
                true
            }
            None => false,
        }
    }
}

impl Ticket {
    /// False when the peer has been turned out meanwhile.
    pub(super) fn leave(&self) -> bool {
        let mut inside = self.room.lock();
        let before = inside.peers.len();
        inside.peers.retain(|(id, _)| *id != self.id);
        inside.peers.len() < before
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
    }
}
