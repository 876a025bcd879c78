//! Writing packs: every file is checked against its digest, made under its name, and has its times set last, which is
//! how a whole file is told from one that a crash cut short.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::directory::TargetDirectory;
use super::files::{Announced, Found};
use super::lane::LaneState;
use super::links::{Contents, First, NamePlace};
use super::read_back::{Job, WrittenFile};
use super::session::Shared;
use super::volume::is_fatal;
use crate::digest::Digest;
use crate::digest::file::{Form, data_digest, sent_digest};
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
pub(super) struct Batch {
    directory: Option<Arc<TargetDirectory>>,
    leaves: Vec<(u64, Leaf)>,
}

impl Shared {
    pub(super) fn write_pack(&self, payload: &[u8], zstd: bool, lane: &mut LaneState) -> Result<(), CoreError> {
        let (files, total, sent) = read_pack(payload).map_err(malformed)?;
        let length = usize::try_from(total).unwrap_or(usize::MAX);
        let mut scratch = std::mem::take(&mut lane.scratch);
        let data = unpack(sent, zstd, length, &mut scratch)?;
        let mut written = Vec::with_capacity(files.len());
        let mut result = Ok(());
        let mut start = 0;
        for (position, file) in files.into_iter().enumerate() {
            let place = start..start + file.size as usize;
            start = place.end;
            result = self.write_packed(position, file, (place.clone(), &data[place]), lane, &mut written);
            if result.is_err() {
                break;
            }
        }
        // The lane may have given up: what it has finished counts, whoever sends the rest.
        self.put_written(written, data)?;
        lane.scratch = scratch;
        result
    }

    /// Files that are under their names are finished, or read back before they are.
    fn put_written(&self, written: Vec<WrittenFile>, data: &[u8]) -> Result<(), CoreError> {
        if let Some(queue) = &self.read_back {
            let job = Job::Files { files: written, data: data.to_vec() };
            return queue.put(job, &self.life.stop);
        }
        let mut batch = Batch::default();
        for file in written {
            self.finish_written(file, &mut batch)?;
        }
        self.settle_batch(&mut batch)
    }

    pub(super) fn finish_written(&self, file: WrittenFile, batch: &mut Batch) -> Result<(), CoreError> {
        let WrittenFile { announced, attributes, digest, leaf, .. } = file;
        if announced.link != 0 {
            self.file_made(&announced, attributes, (self.config.verify.form(), digest))?;
        }
        if batch.directory.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &announced.directory)) {
            self.settle_batch(batch)?;
            batch.directory = Some(announced.directory);
        }
        batch.leaves.push((announced.leaf, leaf));
        Ok(())
    }

    fn write_packed(
        &self,
        position: usize,
        file: PackedFile,
        (place, data): (Range<usize>, &[u8]),
        lane: &mut LaneState,
        written: &mut Vec<WrittenFile>,
    ) -> Result<(), CoreError> {
        let form = self.config.verify.form();
        if data_digest(form, data) != file.digest {
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
                // The source gave this lane up before the PACK was read, found the file grown, and sends it in pieces now.
                lane.except(position, Outcome::Again);
                return Ok(());
            }
        };
        let id = file.file;
        let digest = sent_digest(form, file.digest, data.len() as u64, file.attributes.mtime);
        let Some(attributes) = self.write_file(&announced, file.attributes, data, lane)? else {
            lane.except(position, Outcome::Failed);
            lane.finished.push((id, FAILED_LEAF));
            return self.settle(&announced.directory, &[(announced.leaf, FAILED_LEAF)]);
        };
        let leaf = file_leaf(&announced, &attributes, (form, digest));
        lane.finished.push((id, leaf));
        written.push(WrittenFile { announced, attributes, digest, leaf, data: place });
        Ok(())
    }

    pub(super) fn settle_batch(&self, batch: &mut Batch) -> Result<(), CoreError> {
        let Some(directory) = batch.directory.take() else { return Ok(()) };
        let settled = self.settle(&directory, &batch.leaves);
        batch.leaves.clear();
        settled
    }

    /// Writes one small file; the attributes that it has then, or None when it is an item instead.
    fn write_file(
        &self,
        announced: &Announced,
        wanted: Attributes,
        data: &[u8],
        lane: &mut LaneState,
    ) -> Result<Option<Attributes>, CoreError> {
        if announced.replaces {
            return self.replace_file(announced, wanted, data, lane);
        }
        let written = self
            .directory_of(announced, lane)
            .and_then(|directory| self.create_filled(directory.as_fd(), &announced.name, wanted.mode, data));
        let fd = match written {
            Ok(fd) => fd,
            Err(errno) => {
                if !announced.directory.data.failed {
                    self.extras.distrust(&announced.directory.data, errno);
                    self.not_written(announced.path(), "data", errno)?;
                }
                self.first_failed(announced.link)?;
                return Ok(None);
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
        Ok(Some(attributes))
    }

    /// A new file with its data; nothing is left of one that could not be filled.
    fn create_filled(&self, directory: BorrowedFd<'_>, name: &[u8], mode: u32, data: &[u8]) -> Result<OwnedFd, Errno> {
        let fd = self.volume.opener.create_file(directory, name, mode)?;
        write_at(fd.as_fd(), data, 0).inspect_err(|_| {
            let _ = make::unlink(directory, name);
        })?;
        Ok(fd)
    }

    /// Replaces what bears the name of a small file.
    fn replace_file(
        &self,
        announced: &Announced,
        wanted: Attributes,
        data: &[u8],
        lane: &mut LaneState,
    ) -> Result<Option<Attributes>, CoreError> {
        let placed = self
            .directory_of(announced, lane)
            .and_then(|directory| self.place_file(announced, &directory, &wanted, data, self.volume.fsync_each));
        match placed {
            Ok((fd, lost)) => {
                let attributes = self.kept(fd.as_fd(), wanted, lost, &|| announced.path())?;
                self.count_received(data.len() as u64);
                Ok(Some(attributes))
            }
            Err(errno) => {
                self.not_written(announced.path(), "data", errno)?;
                self.first_failed(announced.link)?;
                Ok(None)
            }
        }
    }

    /// Writes a small file among the parts and puts it, complete, in the place of what bears its name.
    pub(super) fn place_file(
        &self,
        announced: &Announced,
        directory: &OwnedFd,
        wanted: &Attributes,
        data: &[u8],
        sync: bool,
    ) -> Result<(OwnedFd, Vec<Lost>), Errno> {
        let part = self.claims.part_name();
        let (parts, part) = (self.volume.parts(), part.as_bytes());
        let fd = self.create_filled(parts, part, 0o600, data)?;
        let fresh = self.volume.parts_rule.file(0o600);
        let lost = self.volume.apply_to_file(fd.as_fd(), wanted, &fresh)?;
        if sync {
            rustix::fs::fsync(&fd)?;
        }
        let place = (&announced.directory.data.node, directory.as_fd());
        self.put_in_place(part, place, &announced.name, true).inspect_err(|_| {
            let _ = make::unlink(parts, part);
        })?;
        Ok((fd, lost))
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
        digest: Digest,
    ) -> Result<Leaf, CoreError> {
        let leaf = file_leaf(announced, &attributes, (form, digest));
        if announced.link != 0 {
            self.file_made(announced, attributes, (form, digest))?;
        }
        Ok(leaf)
    }

    /// A file with several names is there under its first.
    fn file_made(
        &self,
        announced: &Announced,
        attributes: Attributes,
        (form, digest): (Form, Digest),
    ) -> Result<(), CoreError> {
        let place = NamePlace {
            directory: Arc::clone(&announced.directory),
            leaf: announced.leaf,
            name: announced.name.clone(),
            replaces: announced.replaces,
        };
        let contents = Contents::File { form, digest };
        self.first_made(announced.link, &Arc::new(First { place, kind: Kind::File, attributes, contents }))
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

pub(super) fn file_leaf(announced: &Announced, attributes: &Attributes, (form, digest): (Form, Digest)) -> Leaf {
    leaf(&announced.name, Kind::File, attributes, &Payload::File { form, digest })
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
