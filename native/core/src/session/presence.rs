//! Who still works for a session. A session that is closed has told its threads to end; that they have ended, and touch
//! the volume no more, is another thing, and the next session on the same volume has to wait for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Default)]
pub struct Presence(Arc<Inside>);

#[derive(Default)]
struct Inside {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    closed: bool,
    here: usize,
}

/// Held by a thread as long as it may work on the volume.
pub struct Token(Arc<Inside>);

impl Presence {
    /// `None` once the session is closed: nobody begins to work after that.
    pub fn enter(&self) -> Option<Token> {
        let mut state = self.0.lock();
        if state.closed {
            return None;
        }
        state.here += 1;
        Some(Token(Arc::clone(&self.0)))
    }

    pub fn close(&self) {
        self.0.lock().closed = true;
    }

    /// What blocks until everybody who has entered has left.
    pub fn left(&self) -> impl FnOnce() + Send + use<> {
        let inside = Arc::clone(&self.0);
        move || {
            let waiting = inside.left.wait_while(inside.lock(), |state| state.here > 0);
            drop(waiting.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Inside {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.lock().here -= 1;
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    #[test]
    fn nobody_enters_a_closed_session_and_the_last_one_out_is_waited_for() {
        let presence = Presence::default();
        let (first, second) = (presence.enter().unwrap(), presence.enter().unwrap());
        presence.close();
        assert!(presence.enter().is_none());
        let (told, hears) = mpsc::channel();
        let left = presence.left();
        let waiting = thread::spawn(move || {
            left();
            told.send(()).unwrap();
        });
        drop(first);
        assert!(hears.recv_timeout(Duration::from_millis(50)).is_err());
        drop(second);
        hears.recv_timeout(Duration::from_secs(10)).unwrap();
        waiting.join().unwrap();
    }
}
