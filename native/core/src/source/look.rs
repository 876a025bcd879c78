//! The source of a session that only looks: it announces and says digests as in any session that compares, and sends no
//! data, whatever the target has. Of a large file of which the target has something it sends the sums, as a copy does, and
//! counts what it would send besides.

use std::sync::Arc;

use super::large::Large;
use super::links::Known;
use super::part::Part;
use super::queue::{FileTask, Unit};
use super::session::Shared;
use crate::digest::file::{Form, assumed_digest};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::session::counters::Counter;
use crate::wire::index::Outcome;
use crate::wire::limits::PACK_FILE;

impl Shared {
    /// The target has a file that is the same as far as it was asked to look: nobody has read it.
    pub(super) fn settle_assumed(&self, task: &FileTask, attributes: Attributes) -> Result<(), CoreError> {
        let digest = assumed_digest(task.size, attributes.mtime);
        let known = Known { attributes, form: Form::Assumed, digest };
        self.counters.add(Counter::BytesDone, task.data);
        self.ledger.count_assumed();
        self.settle_file(task, Some(known), task.size)
    }

    /// The target has another file, or none: a copy would send it.
    pub(super) fn settle_differing(&self, task: &FileTask) -> Result<(), CoreError> {
        if !self.config.looks {
            return Err(CoreError::protocol("The peer broke the protocol: it only looks, in a session that copies."));
        }
        self.counters.add(Counter::BytesDone, task.data);
        self.ledger.count_would_move(task.data);
        self.settle_file(task, None, 0)
    }

    /// The target asks for a file's data: in a session that only looks, for sums of what it has of a large one.
    pub(super) fn send_wanted(&self, task: FileTask) -> Result<(), CoreError> {
        if self.config.looks && (task.base == 0 || task.size <= PACK_FILE) {
            return Err(CoreError::protocol(
                "The peer broke the protocol: it asks for data in a session that only looks.",
            ));
        }
        self.queue.add([task]);
        Ok(())
    }

    /// A part of a file that a copy would send: it only counts.
    pub(super) fn forecast_part(&self, large: &Arc<Large>, part: &Part) {
        self.counters.add(Counter::BytesDone, part.covered_bytes());
        let complete = large.forecast_part(part);
        self.look_again(large, complete);
    }

    /// All that a copy would send of a file is counted: the target hears that nothing more comes of it.
    pub(super) fn end_forecast(&self, large: &Large) {
        if large.give_up() {
            self.ledger.count_would_move(large.would_move());
            self.queue.urgent(Unit::Gone(large.task_for_gone()));
        }
    }

    /// A file changed while it was read for its digest, so that the digest says nothing. A copy sends the file, and sees
    /// by itself whether it stands still.
    pub(super) fn moved_while_read(&self, task: FileTask) {
        if self.config.looks {
            self.report_changed(&task, "data", "changed while it was read; it was not compared");
            self.queue.urgent(Unit::Gone(task));
        } else {
            self.queue.add([task]);
        }
    }

    /// An outcome of the index by which the target has nothing like what was announced; an item or a difference says why.
    pub(super) fn is_unlike(&self, outcome: Option<Outcome>) -> Result<bool, CoreError> {
        match outcome {
            Some(Outcome::Failed) => Ok(true),
            Some(Outcome::Differs) if self.config.looks => Ok(true),
            Some(Outcome::Differs) => Err(super::transit::compared_in_vain()),
            _ => Ok(false),
        }
    }
}
