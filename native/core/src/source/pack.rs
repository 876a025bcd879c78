//! Packs: small files read whole, many in one frame.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::directory::SourceDirectory;
use super::lane::{Lane, LaneRecord};
use super::links::Known;
use super::queue::{FileTask, Unit};
use super::session::Shared;
use super::transit::{SettledFiles, check_refusals, compared_in_vain, outcome_at};
use crate::digest::file::data_digest;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::scan::attributes::{Accounted, Remaining};
use crate::scan::read::{Place, SmallOutcome, Unreadable, read_small};
use crate::session::counters::Counter;
use crate::session::item::{Item, ItemClass, Side};
use crate::wire::cursor::Put;
use crate::wire::frame::FrameType;
use crate::wire::index::Outcome;
use crate::wire::lane::PackedFile;
use crate::wire::limits::{PACK_BYTES, PACK_TABLE_BYTES};

/// A file of a pack that is on its way.
pub(super) struct Packed {
    pub(super) task: FileTask,
    pub(super) known: Known,
    pub(super) size: u64,
}

/// Memory of a lane, used again for every frame.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) table: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) compressed: Vec<u8>,
}

impl Buffers {
    /// Files that have grown since they were announced, or have many attributes, must not make a frame too long.
    fn are_full(&self) -> bool {
        self.data.len() as u64 >= PACK_BYTES || self.table.len() >= PACK_TABLE_BYTES
    }
}

/// The directory whose files were read last, held open between them.
pub(super) type Recent = Option<(Arc<SourceDirectory>, Arc<OwnedFd>)>;

impl Shared {
    pub(super) fn send_pack(&self, lane: &Lane, tasks: Vec<FileTask>, buffers: &mut Buffers) -> Result<(), CoreError> {
        buffers.table.clear();
        buffers.data.clear();
        buffers.table.put_u32(0);
        let mut packed = Vec::with_capacity(tasks.len());
        let mut recent: Recent = None;
        let mut tasks = tasks.into_iter();
        while let Some(task) = tasks.next() {
            if let Some(file) = self.read_into_pack(task, &mut recent, buffers) {
                packed.push(file);
            }
            if buffers.are_full() {
                self.queue.add(tasks);
                break;
            }
        }
        if packed.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(packed.len()).unwrap_or(u32::MAX);
        buffers.table[..4].copy_from_slice(&count.to_be_bytes());
        lane.send(self, FrameType::Pack, LaneRecord::Pack(packed), buffers, None)
    }

    /// None when the file is no longer one for a pack: it is put elsewhere.
    fn read_into_pack(&self, task: FileTask, recent: &mut Recent, buffers: &mut Buffers) -> Option<Packed> {
        let start = buffers.data.len();
        let read = self.descriptor(&task, recent).map_err(Unreadable::from).and_then(|directory| {
            let place = Place { directory: directory.as_fd(), name: &task.name, path: &|| task.path() };
            read_small(&self.volume, &place, self.config.rereads, &mut buffers.data, &self.accountant(task.accounted))
        });
        match read {
            Ok(SmallOutcome::Read(small)) => {
                if small.changed {
                    let detail = "changed each time it was read; the last version was copied";
                    self.report_changed(&task, "data", detail);
                }
                let form = self.config.sent_form();
                let digest = data_digest(form, &buffers.data[start..]);
                let size = u32::try_from(small.size).unwrap_or(u32::MAX);
                let file = PackedFile { file: task.file, size, digest, attributes: small.attributes };
                let known = Known::sent(form, digest, size.into(), file.attributes.clone());
                file.put(&mut buffers.table);
                Some(Packed { task, known, size: u64::from(size) })
            }
            Ok(SmallOutcome::Large) => {
                self.queue.open(task);
                None
            }
            Err(why) => {
                self.unreadable(task, why);
                None
            }
        }
    }

    /// Who hears what of a file is not carried, or cannot be read.
    pub(super) fn accountant(&self, accounted: bool) -> Remaining<'_> {
        let already = match accounted {
            true => Accounted::All,
            false if self.volume.policy.file_attributes => Accounted::Seen,
            false => Accounted::Nothing,
        };
        Remaining(self, already)
    }

    pub(super) fn descriptor(&self, task: &FileTask, recent: &mut Recent) -> Result<Arc<OwnedFd>, Errno> {
        if let Some((directory, descriptor)) = recent
            && Arc::ptr_eq(directory, &task.directory)
        {
            return Ok(Arc::clone(descriptor));
        }
        let descriptor = self.volume.directories.descriptor(&task.directory.data.node)?;
        *recent = Some((Arc::clone(&task.directory), Arc::clone(&descriptor)));
        Ok(descriptor)
    }

    /// Reports a file that cannot be read, and tells the target.
    pub(super) fn unreadable(&self, task: FileTask, why: Unreadable) {
        let item = match why {
            // ESTALE: a server of files has removed it while it was being read.
            Unreadable::Vanished | Unreadable::Failed(Errno::STALE) => {
                let detail = "was there when the directory was listed";
                Item::said(Side::Source, ItemClass::Changed, task.path(), "vanished", detail)
            }
            Unreadable::Failed(errno) => Item::failed(Side::Source, ItemClass::Unreadable, task.path(), "data", errno),
        };
        self.report(item);
        self.queue.urgent(Unit::Gone(task));
    }

    pub(super) fn report_changed(&self, task: &FileTask, what: &str, detail: &str) {
        self.report(Item::said(Side::Source, ItemClass::Changed, task.path(), what, detail));
    }

    /// Settles an acknowledged pack, directory by directory.
    pub(super) fn settle_pack(&self, packed: Vec<Packed>, exceptions: &[(u32, Outcome)]) -> Result<(), CoreError> {
        let mut settled = SettledFiles::default();
        for (position, file) in packed.into_iter().enumerate() {
            let exception = if exceptions.is_empty() { None } else { outcome_at(exceptions, position) };
            self.counters.add(Counter::BytesDone, file.size);
            if exception.is_some() || file.task.link.is_some() {
                self.settle_packed(file, exception)?;
            } else {
                self.gather_settled(&file.task, &file.known, file.size, &mut settled)?;
            }
        }
        self.settle_gathered(settled)
    }

    fn settle_packed(&self, file: Packed, exception: Option<Outcome>) -> Result<(), CoreError> {
        let Packed { task, known, size } = file;
        match exception {
            None => self.settle_file(&task, Some(known), size),
            Some(Outcome::Failed) => self.settle_file(&task, None, size),
            Some(Outcome::Again) => {
                self.counters.add(Counter::Resent, size);
                self.counters.subtract(Counter::BytesDone, size);
                let refused = task.refused + 1;
                check_refusals(refused)?;
                self.queue.add([FileTask { refused, accounted: true, ..task }]);
                Ok(())
            }
            Some(Outcome::Duplicate(content, metadata)) => {
                self.settle_duplicate(&task, known, Leaf { content, metadata }, size)
            }
            Some(
                Outcome::Same
                | Outcome::Check
                | Outcome::Base(_)
                | Outcome::Lacks(_)
                | Outcome::Differs
                | Outcome::Later,
            ) => Err(compared_in_vain()),
        }
    }

    /// The target had finished the file before its lane died. What it has then counts; it differs when the file has
    /// changed in between.
    pub(super) fn settle_duplicate(
        &self,
        task: &FileTask,
        known: Known,
        leaf: Leaf,
        size: u64,
    ) -> Result<(), CoreError> {
        if !task.sent_before {
            return Err(CoreError::protocol("The peer broke the protocol: it has a file that was not sent."));
        }
        if leaf == FAILED_LEAF {
            return self.settle_file(task, None, size);
        }
        if leaf != known.leaf(&task.name) {
            self.report_changed(task, "data", "changed after it was copied, while a lost connection was replaced");
        }
        self.settle_file_leaf(task, leaf, Some(known), size)
    }

    pub(super) fn retry_pack(&self, packed: Vec<Packed>) {
        self.queue.add(packed.into_iter().map(|file| FileTask { sent_before: true, accounted: true, ..file.task }));
    }
}
