//! Writing packs: every file is checked against its digest, made under its name, and has its times set last, which is
//! how a whole file is told from one that a crash cut short.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::directory::TargetDirectory;
use super::files::{Announced, Found};
use super::lane::LaneState;
use super::links::{Contents, First, NamePlace};
use super::session::Shared;
use super::volume::is_fatal;
use crate::digest::file::Form;
use crate::digest::leaf::{FAILED_LEAF, Leaf, Payload, leaf};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::{Attributes, Lost};
use crate::fs::make;
use crate::fs::stat::{Kind, stat_fd};
use crate::fs::xattrs;
use crate::scan::attributes::of_stat;
use crate::session::compress::decompress;
use crate::session::counters::Counter;
use crate::wire::channel::malformed;
use crate::wire::index::Outcome;
use crate::wire::lane::{PackedFile, read_pack};

/// Settled leaves of one directory on their way to its tree.
#[derive(Default)]
struct Batch {
    directory: Option<Arc<TargetDirectory>>,
    leaves: Vec<(u64, Leaf)>,
}

impl Shared {
    pub(super) fn write_pack(&self, payload: &[u8], zstd: bool, lane: &mut LaneState) -> Result<(), CoreError> {
        let (files, total, sent) = read_pack(payload).map_err(malformed)?;
        let length = usize::try_from(total).unwrap_or(usize::MAX);
        let mut scratch = std::mem::take(&mut lane.scratch);
        let data = unpack(sent, zstd, length, &mut scratch)?;
        let mut batch = Batch::default();
        let mut start = 0;
        for (position, file) in files.into_iter().enumerate() {
            let end = start + file.size as usize;
            let written = self.write_packed(position, file, &data[start..end], lane, &mut batch);
            if written.is_err() {
                // The lane may have given up: what it has finished counts, whoever sends the rest.
                self.settle_batch(&mut batch)?;
            }
            written?;
            start = end;
        }
        self.settle_batch(&mut batch)?;
        lane.scratch = scratch;
        Ok(())
    }

    fn write_packed(
        &self,
        position: usize,
        file: PackedFile,
        data: &[u8],
        lane: &mut LaneState,
        batch: &mut Batch,
    ) -> Result<(), CoreError> {
        if *blake3::hash(data).as_bytes() != file.digest {
            self.counters.add(Counter::Resent, data.len() as u64);
            lane.except(position, Outcome::Again);
            return Ok(());
        }
        let announced = match self.files.take(file.file, self, lane)? {
            Found::Announced(announced) => announced,
            Found::Finished(known) => {
                lane.except(position, Outcome::Duplicate(known.content, known.metadata));
                return Ok(());
            }
            Found::Large(_) => {
                return Err(CoreError::protocol("The peer broke the protocol: a large file comes in a pack too."));
            }
        };
        let id = file.file;
        let leaf = self.write_file(&announced, file.attributes, file.digest, data, lane)?;
        if leaf == FAILED_LEAF {
            lane.except(position, Outcome::Failed);
        }
        lane.finished.push((id, leaf));
        if batch.directory.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &announced.directory)) {
            self.settle_batch(batch)?;
            batch.directory = Some(announced.directory);
        }
        batch.leaves.push((announced.leaf, leaf));
        Ok(())
    }

    fn settle_batch(&self, batch: &mut Batch) -> Result<(), CoreError> {
        let Some(directory) = batch.directory.take() else { return Ok(()) };
        let settled = self.settle(&directory, &batch.leaves);
        batch.leaves.clear();
        settled
    }

    /// Writes one small file; FAILED_LEAF when it is an item instead.
    fn write_file(
        &self,
        announced: &Announced,
        wanted: Attributes,
        digest: crate::digest::Digest,
        data: &[u8],
        lane: &mut LaneState,
    ) -> Result<Leaf, CoreError> {
        if announced.replaces {
            return self.replace_file(announced, wanted, digest, data, lane);
        }
        let written = self
            .directory_of(announced, lane)
            .and_then(|directory| self.create_filled(directory.as_fd(), &announced.name, wanted.mode, data));
        let fd = match written {
            Ok(fd) => fd,
            Err(errno) => {
                if !announced.directory.data.failed {
                    self.not_written(announced.path(), "data", errno)?;
                }
                self.first_failed(announced.link)?;
                return Ok(FAILED_LEAF);
            }
        };
        let fresh = announced.directory.data.rule.file(wanted.mode);
        let lost = self.volume.apply_to_file(fd.as_fd(), &wanted, &fresh);
        let lost = lost.map_err(|errno| self.volume.fatal(errno, &announced.path()))?;
        let attributes = self.kept(fd.as_fd(), wanted, lost, &|| announced.path())?;
        if self.volume.fsync_each {
            rustix::fs::fsync(&fd).map_err(|errno| self.volume.fatal(errno, &announced.path()))?;
        }
        drop(fd);
        self.count_received(data.len() as u64);
        self.finish_file(announced, attributes, Form::Plain, digest)
    }

    /// A new file with its data; nothing is left of one that could not be filled.
    fn create_filled(&self, directory: BorrowedFd<'_>, name: &[u8], mode: u32, data: &[u8]) -> Result<OwnedFd, Errno> {
        let fd = self.volume.opener.create_file(directory, name, mode)?;
        write_at(fd.as_fd(), data, 0).inspect_err(|_| {
            let _ = make::unlink(directory, name);
        })?;
        Ok(fd)
    }

    /// Writes a small file among the parts and puts it, complete, in the place of what bears its name.
    fn replace_file(
        &self,
        announced: &Announced,
        wanted: Attributes,
        digest: crate::digest::Digest,
        data: &[u8],
        lane: &mut LaneState,
    ) -> Result<Leaf, CoreError> {
        let part = self.claims.part_name();
        let (parts, part) = (self.volume.parts(), part.as_bytes());
        let placed = self.directory_of(announced, lane).and_then(|directory| {
            let fd = self.create_filled(parts, part, 0o600, data)?;
            let fresh = self.volume.parts_rule.file(0o600);
            let lost = self.volume.apply_to_file(fd.as_fd(), &wanted, &fresh)?;
            if self.volume.fsync_each {
                rustix::fs::fsync(&fd)?;
            }
            let place = (&announced.directory.data.node, directory.as_fd());
            self.put_in_place(part, place, &announced.name, true).inspect_err(|_| {
                let _ = make::unlink(parts, part);
            })?;
            Ok((fd, lost))
        });
        match placed {
            Ok((fd, lost)) => {
                let attributes = self.kept(fd.as_fd(), wanted, lost, &|| announced.path())?;
                self.count_received(data.len() as u64);
                self.finish_file(announced, attributes, Form::Plain, digest)
            }
            Err(errno) => {
                self.not_written(announced.path(), "data", errno)?;
                self.first_failed(announced.link)?;
                Ok(FAILED_LEAF)
            }
        }
    }

    fn count_received(&self, size: u64) {
        self.count_file(size);
        self.ledger.count_moved(size);
        self.counters.add(Counter::BytesDone, size);
    }

    /// The leaf of a file that is whole; its other names are made.
    pub(super) fn finish_file(
        &self,
        announced: &Announced,
        attributes: Attributes,
        form: Form,
        digest: crate::digest::Digest,
    ) -> Result<Leaf, CoreError> {
        let leaf = leaf(&announced.name, Kind::File, &attributes, &Payload::File { form, digest });
        if announced.link != 0 {
            let place = NamePlace {
                directory: Arc::clone(&announced.directory),
                leaf: announced.leaf,
                name: announced.name.clone(),
                replaces: announced.replaces,
            };
            let contents = Contents::File { form, digest };
            self.first_made(announced.link, &Arc::new(First { place, kind: Kind::File, attributes, contents }))?;
        }
        Ok(leaf)
    }

    /// What a file has now: what was wanted, unless something was lost, which is reported.
    pub(super) fn kept(
        &self,
        fd: BorrowedFd<'_>,
        wanted: Attributes,
        lost: Vec<Lost>,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Result<Attributes, CoreError> {
        if lost.is_empty() {
            return Ok(wanted);
        }
        self.report_lost(&path(), lost)?;
        let now = stat_fd(fd).and_then(|stat| Ok(of_stat(&stat, xattrs::read_fd(fd, true)?.xattrs)));
        Ok(now.unwrap_or_default())
    }

    pub(super) fn count_file(&self, size: u64) {
        self.ledger.count_bytes(size);
        self.counters.add(Counter::FilesDone, 1);
        self.count_made(Some(Kind::File));
    }

    /// The directory's descriptor, kept from file to file.
    fn directory_of(&self, announced: &Announced, lane: &mut LaneState) -> Result<Arc<OwnedFd>, Errno> {
        if announced.directory.data.failed {
            return Err(Errno::NOENT);
        }
        if let Some((directory, descriptor)) = &lane.recent
            && Arc::ptr_eq(directory, &announced.directory)
        {
            return Ok(Arc::clone(descriptor));
        }
        let descriptor = self.volume.directories.descriptor(&announced.directory.data.node)?;
        lane.recent = Some((Arc::clone(&announced.directory), Arc::clone(&descriptor)));
        Ok(descriptor)
    }

    /// An entry that could not be written: an item, or the end when nothing can be written any more.
    pub(super) fn not_written(&self, path: Vec<u8>, what: &str, errno: Errno) -> Result<(), CoreError> {
        if is_fatal(errno) {
            return Err(self.volume.fatal(errno, &path));
        }
        use crate::session::item::{Item, ItemClass, Side};
        self.report(Item::failed(Side::Target, ItemClass::NotWritten, path, what, errno));
        Ok(())
    }
}

/// Writes all of `data` at `offset`.
pub(super) fn write_at(fd: BorrowedFd<'_>, mut data: &[u8], mut offset: u64) -> Result<(), Errno> {
    while !data.is_empty() {
        match rustix::io::pwrite(fd, data, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                data = &data[written..];
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A frame's data as it was before compression, exactly `length` bytes.
pub(super) fn unpack<'a>(
    sent: &'a [u8],
    zstd: bool,
    length: usize,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], CoreError> {
    let data = if zstd {
        if !decompress(sent, length, scratch) {
            return Err(CoreError::protocol("The peer broke the protocol: a frame cannot be decompressed."));
        }
        scratch
    } else {
        sent
    };
    if data.len() == length {
        Ok(data)
    } else {
        Err(CoreError::protocol("The peer broke the protocol: a frame's data has another length than it says."))
    }
}
