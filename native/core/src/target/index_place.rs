//! Which connection is the index. One that has brought nothing yet gives way to the next: the source dials again when it
//! did not hear that its index was bound, and the target may not know that the first one is dead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::channel::Channel;

#[derive(Default)]
struct State {
    channel: Option<Arc<Channel>>,
    /// It has brought a frame: from then on the session ends with it.
    begun: bool,
}

#[derive(Default)]
pub(super) struct IndexPlace(Mutex<State>);

impl IndexPlace {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> Option<Arc<Channel>> {
        self.lock().channel.clone()
    }

    /// Takes the place, unless another has begun: the sentence with which this one is refused.
    pub(super) fn offer(&self, channel: &Arc<Channel>) -> Result<(), String> {
        let mut state = self.lock();
        if state.begun {
            return Err("The session has an index already.".to_owned());
        }
        if let Some(old) = state.channel.replace(Arc::clone(channel)) {
            old.abort();
        }
        Ok(())
    }

    /// It has brought its first frame. False when another has taken its place before.
    pub(super) fn begin(&self, channel: &Channel) -> bool {
        let mut state = self.lock();
        let current = state.channel.as_ref().is_some_and(|known| std::ptr::eq(Arc::as_ptr(known), channel));
        state.begun |= current;
        current
    }
}
