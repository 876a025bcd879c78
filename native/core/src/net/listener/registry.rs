//! Which session an index or lane connection belongs to.

use crate::net::bind::Secret;
use crate::net::duplex::Duplex;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Index,
    Lane(u16),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    Index,
    Lane,
}

impl Channel {
    pub fn kind(self) -> ChannelKind {
        match self {
            Self::Index => ChannelKind::Index,
            Self::Lane(_) => ChannelKind::Lane,
        }
    }
}

/// A session that waits for its connections.
pub trait SessionSink: Send + Sync {
    /// Takes the connection, or says in a sentence why not. May hand the stream to other threads at once: the
    /// listener's answer goes out ahead of whatever they write.
    fn bind(&self, channel: Channel, stream: Arc<dyn Duplex>) -> Result<(), String>;
}

#[derive(Default)]
pub(super) struct Registry {
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    next: u64,
    list: Vec<Session>,
}

struct Session {
    id: u64,
    secret: Secret,
    sink: Arc<dyn SessionSink>,
}

/// Ends with its drop; a bind that is under way then may still reach the sink.
pub struct Registration {
    registry: Arc<Registry>,
    id: u64,
}

impl Registry {
    pub(super) fn register(registry: &Arc<Self>, secret: Secret, sink: Arc<dyn SessionSink>) -> Registration {
        let mut sessions = registry.lock();
        let id = sessions.next;
        sessions.next += 1;
        sessions.list.push(Session { id, secret, sink });
        drop(sessions);
        Registration { registry: Arc::clone(registry), id }
    }

    /// Looks at every session, so that the time taken says nothing about any secret.
    pub(super) fn find(&self, secret: &Secret) -> Option<Arc<dyn SessionSink>> {
        let mut found = None;
        for session in &self.lock().list {
            if verify_slices_are_equal(&session.secret, secret).is_ok() {
                found = Some(Arc::clone(&session.sink));
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.lock().list.retain(|session| session.id != self.id);
    }
}
