//! How a session comes to its end once every entry is acknowledged: at once, or after the closing walk of a cutover pass.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::session::{Pass, Shared};
use crate::digest::leaf::{Leaf, volume_roots};
use crate::error::CoreError;
use crate::scan::closing::{Baseline, closing_walk};
use crate::session::counters::Counter;
use crate::session::events::Event;
use crate::session::life::Living;
use crate::session::stop::Stop;

/// The roots of a volume of which every entry is acknowledged: what the thread that scanned waits for.
#[derive(Default)]
pub(super) struct Completion {
    roots: Mutex<Option<Leaf>>,
    changed: Condvar,
}

impl Completion {
    fn set(&self, roots: Leaf) {
        *self.roots.lock().unwrap_or_else(PoisonError::into_inner) = Some(roots);
        self.changed.notify_all();
    }

    fn wait(&self, stop: &Stop) -> Result<Leaf, CoreError> {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            stop.check()?;
            if let Some(roots) = *roots {
                return Ok(roots);
            }
            let patience = Duration::from_millis(200);
            roots = self.changed.wait_timeout(roots, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    /// All entries are acknowledged: the target hears of it, after the closing walk if there is one, and its own word
    /// is waited for.
    pub(super) fn volume_complete(&self, root: Option<Leaf>) -> Result<(), CoreError> {
        let Some(root) = root else { return Ok(()) };
        let roots = volume_roots(&root, &self.links.digest());
        match self.config.pass {
            Pass::Stage => self.settle(roots),
            Pass::Cutover => {
                self.completion.set(roots);
                Ok(())
            }
        }
    }

    /// Waits until everything is acknowledged, then looks at everything again. Nobody waits for this thread with a
    /// deadline: the target hears that we have settled only afterwards, and keep-alives have threads of their own.
    pub(super) fn close_pass(&self, baseline: &Baseline) -> Result<(), CoreError> {
        let roots = self.completion.wait(&self.life.stop)?;
        self.life.events.send(Event::Closing);
        let looked = || self.counters.add(Counter::EntriesRechecked, 1);
        closing_walk(&self.volume, baseline, self, &looked, self.config.scan_threads, &self.life.stop)?;
        self.settle(roots)
    }

    fn settle(&self, roots: Leaf) -> Result<(), CoreError> {
        self.index()?.send_settled()?;
        self.settle_here(roots);
        Ok(())
    }
}
