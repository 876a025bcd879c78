//! Files of which the target says whether it needs them: in a session that compares.

use std::os::fd::AsFd;

use super::index::Compared;
use super::lane::{Lane, LaneRecord};
use super::links::Known;
use super::pack::Buffers;
use super::queue::{FileTask, Unit};
use super::session::Shared;
use super::transit::{compared_in_vain, outcome_at};
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::fs::stat::stat_fd;
use crate::scan::attributes::of_descriptor;
use crate::scan::digest::digest_file;
use crate::scan::read::{Place, Unreadable, form_of, note_flags, open_regular, stood_still};
use crate::session::counters::Counter;
use crate::wire::frame::FrameType;
use crate::wire::index::Outcome;
use crate::wire::lane::Check;

/// A file whose digest was told.
pub(super) struct Checked {
    pub(super) task: FileTask,
    known: Known,
    size: u64,
}

/// What reading a file for its digest gave.
enum Read {
    Still(Known, u64),
    /// It changed meanwhile, so that it has to be sent in any case.
    Moved,
}

impl Shared {
    /// The target's word on an announced file.
    pub(super) fn settle_compared(
        &self,
        compared: Compared,
        first_file: u64,
        outcome: Option<Outcome>,
    ) -> Result<(), CoreError> {
        let Compared { mut task, attributes } = compared;
        task.file += first_file;
        match outcome {
            None => return self.send_wanted(task),
            Some(Outcome::Base(base)) => return self.send_wanted(FileTask { base, ..task }),
            Some(Outcome::Check) => self.queue.urgent(Unit::Check(task)),
            Some(Outcome::Same) => return self.settle_assumed(&task, attributes),
            Some(Outcome::Differs) => return self.settle_differing(&task),
            Some(Outcome::Failed) => return self.settle_file(&task, None, 0),
            Some(Outcome::Again | Outcome::Duplicate(..) | Outcome::Lacks(_) | Outcome::Later) => {
                return Err(CoreError::protocol(
                    "The peer broke the protocol: it answers for a file that was not sent.",
                ));
            }
        }
        Ok(())
    }

    /// Reads a file and tells the target its digest.
    pub(super) fn send_check(&self, lane: &Lane, task: FileTask, buffers: &mut Buffers) -> Result<(), CoreError> {
        let (known, size) = match self.read_for_check(&task, buffers) {
            Ok(Read::Still(known, size)) => (known, size),
            Ok(Read::Moved) => {
                self.moved_while_read(task);
                return Ok(());
            }
            Err(why) => {
                self.unreadable(task, why);
                return Ok(());
            }
        };
        buffers.table.clear();
        buffers.data.clear();
        let attributes = known.attributes.clone();
        Check { file: task.file, size, form: known.form, digest: known.digest, attributes }.put(&mut buffers.table);
        let task = FileTask { accounted: true, ..task };
        let record = LaneRecord::Check(Checked { task, known, size });
        lane.send(self, FrameType::Check, record, buffers, None)
    }

    fn read_for_check(&self, task: &FileTask, buffers: &mut Buffers) -> Result<Read, Unreadable> {
        let directory = self.volume.directories.descriptor(&task.directory.data.node)?;
        let path = || task.path();
        let place = Place { directory: directory.as_fd(), name: &task.name, path: &path };
        let (fd, stat) = open_regular(&self.volume, &place)?;
        let form = form_of(fd.as_fd(), stat.size)?;
        let digest = digest_file(fd.as_fd(), form, stat.size, &mut buffers.data, &self.life.stop)?;
        let keep_selinux = self.volume.policy.keep_selinux;
        let report = self.accountant(task.accounted);
        let attributes = of_descriptor(fd.as_fd(), &stat, keep_selinux, &report, &path)?;
        if !stood_still(&stat, &stat_fd(fd.as_fd())?) {
            return Ok(Read::Moved);
        }
        note_flags(&self.volume, fd.as_fd(), &stat, &report);
        Ok(Read::Still(Known { attributes, form, digest }, stat.size))
    }

    /// The target has compared: it has the same bytes, or gets them.
    pub(super) fn settle_check(&self, checked: Checked, exceptions: &[(u32, Outcome)]) -> Result<(), CoreError> {
        let Checked { task, known, size } = checked;
        match outcome_at(exceptions, 0) {
            None => {
                self.counters.add(Counter::BytesDone, task.data);
                self.ledger.count_compared();
                self.settle_file(&task, Some(known), size)
            }
            Some(Outcome::Again) => self.send_wanted(task),
            Some(Outcome::Base(base)) => self.send_wanted(FileTask { base, ..task }),
            Some(Outcome::Differs) => self.settle_differing(&task),
            Some(Outcome::Duplicate(content, metadata)) => {
                self.counters.add(Counter::BytesDone, task.data);
                self.settle_duplicate(&task, known, Leaf { content, metadata }, size)
            }
            Some(Outcome::Failed) => self.settle_file(&task, None, 0),
            Some(Outcome::Same | Outcome::Check | Outcome::Lacks(_) | Outcome::Later) => Err(compared_in_vain()),
        }
    }

    /// The lane died before the target's word came.
    pub(super) fn retry_check(&self, checked: Checked) {
        self.queue.urgent(Unit::Check(FileTask { sent_before: true, ..checked.task }));
    }
}
