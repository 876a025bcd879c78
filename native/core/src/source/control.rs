//! Large files on a lane: opening, pieces, holes, and the frames that begin and end an attempt.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::lane::{Lane, LaneRecord};
use super::large::{Finished, Large};
use super::links::Known;
use super::pack::Buffers;
use super::part::Part;
use super::queue::{FileTask, Unit};
use super::session::Shared;
use super::transit::{check_refusals, compared_in_vain, outcome_at};
use crate::digest::Digest;
use crate::digest::file::{NO_DIGEST, piece_digest};
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::xattrs::Xattrs;
use crate::scan::attributes::of_descriptor;
use crate::scan::read::{Place, Unreadable, fill_piece, note_flags, open_regular};
use crate::session::counters::Counter;
use crate::session::item::{Item, ItemClass, Side};
use crate::wire::frame::FrameType;
use crate::wire::index::Outcome;
use crate::wire::lane::{Again, End, Hole, Piece, put_gone};

/// A frame about a file as a whole.
pub(super) enum Control {
    Again(Arc<Large>),
    End(Arc<Large>),
    Gone(FileTask),
}

impl Shared {
    pub(super) fn open_large(&self, lane: &Lane, task: FileTask, buffers: &mut Buffers) -> Result<(), CoreError> {
        let opened = self.volume.directories.descriptor(&task.directory.data.node).map_err(Unreadable::from);
        let opened = opened.and_then(|directory| {
            let place = Place { directory: directory.as_fd(), name: &task.name, path: &|| task.path() };
            open_regular(&self.volume, &place)
        });
        let (fd, stat) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                self.unreadable(task, why);
                return Ok(());
            }
        };
        note_flags(&self.volume, fd.as_fd(), &stat, &self.accountant(task.accounted));
        match Large::new(task.clone(), fd, stat, self.config.sent_form()) {
            Ok((large, _)) if self.config.looks => {
                let large = Arc::new(large);
                // Of an empty one nothing is left.
                self.look_again(&large, large.is_complete());
                self.queue.add_large(large);
                Ok(())
            }
            Ok((large, true)) => self.send_control(lane, Control::Again(Arc::new(large)), buffers),
            Ok((large, false)) => {
                self.queue.add_large(Arc::new(large));
                Ok(())
            }
            Err(errno) => {
                self.unreadable(task, Unreadable::Failed(errno));
                Ok(())
            }
        }
    }

    pub(super) fn send_part(
        &self,
        lane: &Lane,
        large: Arc<Large>,
        part: Part,
        buffers: &mut Buffers,
    ) -> Result<(), CoreError> {
        match &part {
            Part::Piece { .. } | Part::Hole { .. } | Part::Patch { .. } if self.config.looks => {
                self.forecast_part(&large, &part);
                Ok(())
            }
            Part::Piece { index, length, segments, .. } => {
                let (index, length, segments) = (*index, *length, segments.clone());
                self.send_piece(lane, large, (index, length), segments, part, buffers)
            }
            Part::Hole { first, count, .. } => {
                let hole = Hole { of: large.attempt(), first: *first, count: *count };
                buffers.table.clear();
                buffers.data.clear();
                hole.put(&mut buffers.table);
                let record = LaneRecord::Part { large, part, digest: NO_DIGEST };
                lane.send(self, FrameType::Hole, record, buffers, None)
            }
            Part::Sums { first, length, .. } => {
                let (first, length) = (*first, *length);
                self.send_sums(lane, large, (first, length), part, buffers)
            }
            Part::Patch { .. } => self.send_patch(lane, large, part, buffers),
            Part::Again => self.send_control(lane, Control::Again(large), buffers),
            Part::End => self.send_control(lane, Control::End(large), buffers),
            Part::Unreadable(errno) => {
                self.abandon(&large, *errno);
                Ok(())
            }
        }
    }

    /// Reports a large file that can no longer be read, once.
    pub(super) fn abandon(&self, large: &Large, errno: Errno) {
        if large.give_up() {
            self.unreadable(large.task_for_gone(), Unreadable::Failed(errno));
        }
    }

    fn send_piece(
        &self,
        lane: &Lane,
        large: Arc<Large>,
        (index, length): (u64, u32),
        segments: Vec<(u32, u32)>,
        part: Part,
        buffers: &mut Buffers,
    ) -> Result<(), CoreError> {
        if let Err(errno) = fill_piece(large.descriptor(), (index, length), &segments, &mut buffers.data) {
            self.abandon(&large, errno);
            return Ok(());
        }
        let (size, form) = large.size_and_form();
        let digest = piece_digest(form, size, index, &buffers.data);
        let piece = Piece { of: large.attempt(), index, length, digest, segments };
        buffers.table.clear();
        piece.put(&mut buffers.table);
        let record = LaneRecord::Part { large, part, digest };
        lane.send(self, FrameType::Piece, record, buffers, Some(&piece.segments))
    }

    pub(super) fn send_control(&self, lane: &Lane, control: Control, buffers: &mut Buffers) -> Result<(), CoreError> {
        buffers.table.clear();
        buffers.data.clear();
        let (frame, record) = match control {
            Control::Gone(task) => {
                put_gone(&mut buffers.table, task.file);
                (FrameType::Gone, LaneRecord::Gone(task))
            }
            Control::Again(large) => {
                let (size, form) = large.size_and_form();
                Again { of: large.attempt(), size, form }.put(&mut buffers.table);
                (FrameType::Again, LaneRecord::Part { large, part: Part::Again, digest: NO_DIGEST })
            }
            Control::End(large) => {
                let Some((attributes, digest)) = self.describe(&large) else { return Ok(()) };
                End { of: large.attempt(), digest, attributes }.put(&mut buffers.table);
                (FrameType::End, LaneRecord::Part { large, part: Part::End, digest: NO_DIGEST })
            }
        };
        lane.send(self, frame, record, buffers, None)
    }

    /// What END says of the file. None when its attributes cannot be read, which has been reported then.
    fn describe(&self, large: &Large) -> Option<(Attributes, Digest)> {
        let finished = large.finished()?;
        let path = || large.task.path();
        let keep_selinux = self.volume.policy.keep_selinux;
        let report = self.accountant(large.recall().is_some());
        match of_descriptor(large.descriptor(), &finished.stat, keep_selinux, &report, &path) {
            Ok(attributes) => {
                let Finished { stat, form, digest, .. } = finished;
                large.remember(Known::sent(form, digest, stat.size, attributes.clone()));
                Some((attributes, digest))
            }
            Err(errno) => {
                self.abandon(large, errno);
                None
            }
        }
    }

    /// Settles an acknowledged part of a large file.
    pub(super) fn settle_part(
        &self,
        large: &Arc<Large>,
        part: &Part,
        digest: Digest,
        exceptions: &[(u32, Outcome)],
    ) -> Result<(), CoreError> {
        let outcome = outcome_at(exceptions, 0);
        if self.settle_over(large, outcome)? {
            return Ok(());
        }
        match (part, outcome) {
            (Part::Again, Some(Outcome::Base(bytes))) => large.announced(bytes),
            (Part::Again, None) => large.announced(0),
            (_, Some(Outcome::Same | Outcome::Check | Outcome::Base(_) | Outcome::Lacks(_) | Outcome::Differs)) => {
                return Err(compared_in_vain());
            }
            _ => {}
        }
        match part {
            Part::Patch { index, length, .. } if outcome == Some(Outcome::Again) => {
                self.counters.add(Counter::Resent, part.data_bytes());
                check_refusals(large.refuse(*index))?;
                large.give_back_whole(*index, *length);
                self.queue.add_large(Arc::clone(large));
                Ok(())
            }
            Part::Piece { index, .. } | Part::Hole { first: index, .. } if outcome == Some(Outcome::Again) => {
                self.counters.add(Counter::Resent, part.data_bytes());
                check_refusals(large.refuse(*index))?;
                large.give_back(part);
                self.queue.add_large(Arc::clone(large));
                Ok(())
            }
            Part::Piece { index, .. } | Part::Patch { index, .. } => {
                self.counters.add(Counter::BytesDone, part.covered_bytes());
                let complete = large.piece_done(*index, digest, part);
                self.look_again(large, complete);
                Ok(())
            }
            Part::Hole { first, count, .. } => {
                let complete = large.hole_done(*first, *count);
                self.look_again(large, complete);
                Ok(())
            }
            Part::Again => {
                let complete = large.is_complete();
                self.look_again(large, complete);
                if !complete {
                    self.queue.add_large(Arc::clone(large));
                }
                Ok(())
            }
            Part::End if outcome == Some(Outcome::Again) => self.mismatched(large),
            Part::End => self.ended(large),
            Part::Sums { .. } | Part::Unreadable(_) => Ok(()),
        }
    }

    /// Whether the target says that the file is over, as far as it is concerned: finished before, or failed.
    pub(super) fn settle_over(&self, large: &Large, outcome: Option<Outcome>) -> Result<bool, CoreError> {
        match outcome {
            Some(Outcome::Duplicate(content, metadata)) => self.duplicate_large(large, Leaf { content, metadata })?,
            Some(Outcome::Failed) if large.give_up() => self.settle_file(&large.task, None, 0)?,
            Some(Outcome::Later) => self.put_off(large),
            _ => return Ok(large.is_given_up()),
        }
        Ok(true)
    }

    /// The target has no room for it yet. Frames that are under way are answered likewise, or taken: it may get room
    /// between two of them. Those that were taken are void when it is begun anew, with AGAIN: it may have changed since.
    fn put_off(&self, large: &Large) {
        if large.put_off() {
            self.forget_progress(large);
            self.queue.put_off(FileTask { sent_before: true, ..large.task.clone() });
        }
    }

    pub(super) fn look_again(&self, large: &Arc<Large>, complete: bool) {
        if !complete {
            return;
        }
        if self.config.looks {
            return self.end_forecast(large);
        }
        match large.look_again(self.config.rereads) {
            Ok(part) => {
                if matches!(part, Part::Again) {
                    self.forget_progress(large);
                }
                self.queue.urgent(Unit::Part(Arc::clone(large), part));
            }
            Err(errno) => self.abandon(large, errno),
        }
    }

    /// A file is sent from its start again.
    fn forget_progress(&self, large: &Large) {
        let forgotten = large.forget_progress();
        self.counters.subtract(Counter::BytesDone, forgotten);
        self.counters.add(Counter::Resent, forgotten);
    }

    fn mismatched(&self, large: &Arc<Large>) -> Result<(), CoreError> {
        match large.mismatched() {
            Ok(Some(part)) => {
                self.forget_progress(large);
                self.queue.urgent(Unit::Part(Arc::clone(large), part));
            }
            Ok(None) => {
                let detail = "arrived with another digest several times";
                self.report(Item::said(Side::Source, ItemClass::NotWritten, large.task.path(), "data", detail));
                if large.give_up() {
                    self.queue.urgent(Unit::Gone(large.task_for_gone()));
                }
            }
            Err(errno) => self.abandon(large, errno),
        }
        Ok(())
    }

    fn ended(&self, large: &Large) -> Result<(), CoreError> {
        let Some(finished) = large.finished() else {
            return Err(CoreError::bug("A file ended before its pieces did."));
        };
        if finished.changed {
            self.report_changed(&large.task, "data", "changed each time it was read; the last version was copied");
        }
        if !large.give_up() {
            return Ok(());
        }
        self.ledger.count_matched(finished.matched);
        self.queue.resume_put_off();
        self.settle_file(&large.task, large.recall(), finished.stat.size)
    }

    fn duplicate_large(&self, large: &Large, leaf: Leaf) -> Result<(), CoreError> {
        if !large.give_up() {
            return Ok(());
        }
        let (size, form) = large.size_and_form();
        let attributes = Attributes { xattrs: Xattrs::default(), ..Attributes::default() };
        self.ledger.count_matched(large.finished().map_or(0, |finished| finished.matched));
        let known = large.recall().unwrap_or(Known { attributes, form, digest: NO_DIGEST });
        self.settle_duplicate(&large.task_for_gone(), known, leaf, size)
    }

    pub(super) fn settle_gone(&self, task: &FileTask, exceptions: &[(u32, Outcome)]) -> Result<(), CoreError> {
        match outcome_at(exceptions, 0) {
            Some(Outcome::Duplicate(..)) if !task.sent_before => {
                Err(CoreError::protocol("The peer broke the protocol: it has a file that was not sent."))
            }
            Some(Outcome::Duplicate(content, metadata)) if (Leaf { content, metadata }) != FAILED_LEAF => {
                self.count_files(1, task.size);
                self.settle_file_leaf(task, Leaf { content, metadata }, None, task.size)
            }
            _ => self.settle_file(task, None, 0),
        }
    }

    pub(super) fn retry_part(&self, large: Arc<Large>, part: Part) {
        match part {
            Part::Piece { .. } | Part::Hole { .. } | Part::Sums { .. } | Part::Patch { .. } => {
                large.give_back(&part);
                self.queue.add_large(large);
            }
            Part::Again | Part::End | Part::Unreadable(_) => {
                large.mark_retried();
                self.queue.urgent(Unit::Part(large, part));
            }
        }
    }
}
