//! How a session ends early: the first error wins, everything that waits is woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::CoreError;

type Wake = Box<dyn Fn() + Send + Sync>;

#[derive(Default)]
pub struct Stop {
    stopped: AtomicBool,
    error: Mutex<Option<CoreError>>,
    wakes: Mutex<Vec<Wake>>,
}

impl Stop {
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Registers what wakes a waiting thread; called at once when the session has stopped already.
    pub fn on_stop(&self, wake: impl Fn() + Send + Sync + 'static) {
        let mut wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_stopped() {
            wake();
        }
        wakes.push(Box::new(wake));
    }

    /// Stops the session. True for the caller that stopped it, who reports the error; None stands for a wanted end.
    pub fn stop(&self, error: Option<CoreError>) -> bool {
        {
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            if self.is_stopped() {
                return false;
            }
            *first = error;
            self.stopped.store(true, Ordering::Release);
        }
        for wake in self.wakes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            wake();
        }
        true
    }

    /// The error for a thread that finds the session stopped.
    pub fn error(&self) -> CoreError {
        let first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.clone().unwrap_or_else(|| CoreError::new(crate::error::ErrorKind::Interrupted, "The session was ended."))
    }

    pub fn check(&self) -> Result<(), CoreError> {
        if self.is_stopped() { Err(self.error()) } else { Ok(()) }
    }
}
