//! What was sent on one connection and is not acknowledged yet, in the order of sending; the window that bounds it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::CoreError;
use crate::wire::index::{Ack, Outcome};
use crate::wire::limits::WINDOW_FRAMES;

struct State<R> {
    records: VecDeque<R>,
    acknowledged: u64,
    closed: bool,
}

pub(super) struct InFlight<R> {
    state: Mutex<State<R>>,
    changed: Condvar,
}

/// An acknowledged record with the exceptions that the peer named for it.
pub(super) type Acknowledged<R> = (R, Vec<(u32, Outcome)>);

impl<R> InFlight<R> {
    pub(super) fn new() -> Self {
        let state = State { records: VecDeque::new(), acknowledged: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next `push` need not wait.
    pub(super) fn has_room(&self) -> bool {
        self.lock().records.len() < WINDOW_FRAMES
    }

    /// Waits for room and takes note of the frame that is sent next. False when the connection is closed.
    pub(super) fn push(&self, record: R) -> Result<(), R> {
        let mut state = self.lock();
        while state.records.len() >= WINDOW_FRAMES && !state.closed {
            let patience = Duration::from_millis(500);
            state = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.closed {
            return Err(record);
        }
        state.records.push_back(record);
        Ok(())
    }

    /// What an ACK settles. An ACK of frames that were not sent, or exceptions outside of it, break the protocol. One that
    /// comes after `close` settles nothing: its records were handed back.
    pub(super) fn acknowledge(&self, ack: &Ack) -> Result<Vec<Acknowledged<R>>, CoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(CoreError::network("The connection was closed before this acknowledgement came."));
        }
        let first = state.acknowledged + 1;
        let count = ack
            .frames
            .checked_sub(state.acknowledged)
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| *count <= state.records.len())
            .ok_or_else(|| CoreError::protocol("The peer broke the protocol: it acknowledges what was not sent."))?;
        state.acknowledged = ack.frames;
        let mut settled: Vec<Acknowledged<R>> =
            state.records.drain(..count).map(|record| (record, Vec::new())).collect();
        drop(state);
        self.changed.notify_all();
        for (frame, position, outcome) in &ack.exceptions {
            let at = frame.checked_sub(first).and_then(|at| usize::try_from(at).ok());
            let Some((_, exceptions)) = at.and_then(|at| settled.get_mut(at)) else {
                return Err(CoreError::protocol("The peer broke the protocol: an exception to no frame."));
            };
            exceptions.push((*position, *outcome));
        }
        Ok(settled)
    }

    /// Closes the window and hands back what nobody has acknowledged.
    pub(super) fn close(&self) -> Vec<R> {
        let mut state = self.lock();
        state.closed = true;
        self.changed.notify_all();
        state.records.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_acknowledgement_that_comes_after_the_end_is_no_breach() {
        let in_flight = InFlight::new();
        let kind_of = |frames| {
            let acknowledged = in_flight.acknowledge(&Ack { frames, exceptions: Vec::new() });
            acknowledged.map_err(|error| error.kind)
        };
        assert_eq!(in_flight.push("first"), Ok(()));
        assert_eq!(in_flight.push("second"), Ok(()));
        assert_eq!(kind_of(1), Ok(vec![("first", Vec::new())]));
        assert_eq!(kind_of(3), Err(ErrorKind::Protocol));
        assert_eq!(in_flight.close(), ["second"]);
        assert_eq!(kind_of(2), Err(ErrorKind::Network));
    }
}
