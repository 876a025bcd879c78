//! Files of which the target says whether it needs them: in a session that compares.

use std::os::fd::AsFd;

use super::index::Compared;
use super::lane::{Lane, LaneRecord};
use super::links::Known;
use super::pack::{Buffers, Recent};
use super::queue::FileTask;
use super::session::Shared;
use super::transit::{SettledFiles, compared_in_vain, outcome_at};
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::fs::stat::stat_fd;
use crate::scan::attributes::of_descriptor;
use crate::scan::digest::digest_file;
use crate::scan::read::{Place, Unreadable, form_of, note_flags, open_regular, stood_still};
use crate::session::counters::Counter;
use crate::wire::check::Check;
use crate::wire::cursor::Put;
use crate::wire::frame::FrameType;
use crate::wire::index::Outcome;
use crate::wire::limits::PACK_TABLE_BYTES;

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
    /// The target's word on an announced file. `checks` gets it when the target wants to be told its digest.
    pub(super) fn settle_compared(
        &self,
        compared: Compared,
        first_file: u64,
        outcome: Option<Outcome>,
        checks: &mut Vec<FileTask>,
    ) -> Result<(), CoreError> {
        let Compared { mut task, attributes } = compared;
        task.file += first_file;
        match outcome {
            None => return self.send_wanted(task),
            Some(Outcome::Base(base)) => return self.send_wanted(FileTask { base, ..task }),
            Some(Outcome::Check) => checks.push(task),
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

    /// Reads files and tells the target their digests.
    pub(super) fn send_checks(
        &self,
        lane: &Lane,
        tasks: Vec<FileTask>,
        buffers: &mut Buffers,
    ) -> Result<(), CoreError> {
        buffers.table.clear();
        buffers.table.put_u32(0);
        let mut checked = Vec::with_capacity(tasks.len());
        let mut recent = None;
        let mut tasks = tasks.into_iter();
        for task in tasks.by_ref() {
            checked.extend(self.read_into_check(task, &mut recent, buffers));
            if buffers.table.len() >= PACK_TABLE_BYTES {
                break;
            }
        }
        self.queue.check(tasks);
        buffers.data.clear();
        if checked.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(checked.len()).unwrap_or(u32::MAX);
        buffers.table[..4].copy_from_slice(&count.to_be_bytes());
        lane.send(self, FrameType::Check, LaneRecord::Check(checked), buffers, None)
    }

    /// None when there is nothing to tell of it: it is put elsewhere.
    fn read_into_check(&self, task: FileTask, recent: &mut Recent, buffers: &mut Buffers) -> Option<Checked> {
        match self.read_for_check(&task, recent, buffers) {
            Ok(Read::Still(known, size)) => {
                let attributes = known.attributes.clone();
                let check = Check { file: task.file, size, form: known.form, digest: known.digest, attributes };
                check.put(&mut buffers.table);
                Some(Checked { task: FileTask { accounted: true, ..task }, known, size })
            }
            Ok(Read::Moved) => {
                self.moved_while_read(task);
                None
            }
            Err(why) => {
                self.unreadable(task, why);
                None
            }
        }
    }

    fn read_for_check(&self, task: &FileTask, recent: &mut Recent, buffers: &mut Buffers) -> Result<Read, Unreadable> {
        let directory = self.descriptor(task, recent)?;
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
    pub(super) fn settle_checks(&self, checked: Vec<Checked>, exceptions: &[(u32, Outcome)]) -> Result<(), CoreError> {
        let mut settled = SettledFiles::default();
        for (position, file) in checked.into_iter().enumerate() {
            let Checked { task, known, size } = &file;
            match outcome_at(exceptions, position) {
                None if task.link.is_none() => {
                    self.counters.add(Counter::BytesDone, task.data);
                    self.ledger.count_compared();
                    self.gather_settled(task, known, *size, &mut settled)?;
                }
                outcome => self.settle_check(file, outcome)?,
            }
        }
        self.settle_gathered(settled)
    }

    fn settle_check(&self, checked: Checked, outcome: Option<Outcome>) -> Result<(), CoreError> {
        let Checked { task, known, size } = checked;
        match outcome {
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
    pub(super) fn retry_checks(&self, checked: Vec<Checked>) {
        self.queue.check(checked.into_iter().map(|file| FileTask { sent_before: true, ..file.task }));
    }
}
