//! Small files: each is opened by its name and read back whole.

use std::ops::Range;
use std::os::fd::AsFd;

use super::super::files::Announced;
use super::super::pack::{Batch, file_leaf};
use super::super::session::Shared;
use super::{Found, MediumReader};
use crate::digest::file::Form;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::{Digest, hash};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::make;
use crate::fs::stat::{Kind, stat_fd};

/// A file of a pack that bears its name.
pub(crate) struct WrittenFile {
    pub(crate) announced: Announced,
    /// What it has.
    pub(crate) attributes: Attributes,
    pub(crate) digest: Digest,
    pub(crate) leaf: Leaf,
    /// Its place in the pack's data.
    pub(crate) data: Range<usize>,
}

impl WrittenFile {
    pub(super) fn xattr_bytes(&self) -> usize {
        self.attributes.xattrs.bytes()
    }
}

impl Shared {
    pub(super) fn read_back_files(
        &self,
        files: Vec<WrittenFile>,
        data: &[u8],
        reader: &mut MediumReader,
    ) -> Result<(), CoreError> {
        let mut batch = Batch::default();
        for mut file in files {
            self.life.stop.check()?;
            if self.is_read_back(&mut file, data, reader)? {
                self.finish_written(file, &mut batch)?;
            } else {
                self.first_failed(file.announced.link)?;
                self.settle(&file.announced.directory, &[(file.announced.leaf, FAILED_LEAF)])?;
            }
        }
        self.settle_batch(&mut batch)
    }

    /// False when the file is not on the medium, even after it was written once more; it is removed then.
    fn is_read_back(&self, file: &mut WrittenFile, data: &[u8], reader: &mut MediumReader) -> Result<bool, CoreError> {
        let kept = self.keep_whole(file.announced.path(), file.data.len() as u64, |again| {
            if again {
                self.write_again(file, &data[file.data.clone()])?;
            }
            self.on_medium(file, reader)
        })?;
        if !kept {
            self.remove_written(file)?;
        }
        Ok(kept)
    }

    fn on_medium(&self, file: &WrittenFile, reader: &mut MediumReader) -> Result<Found, CoreError> {
        let found = Found::of(self.has_digest(file, reader));
        found.map_err(|errno| self.volume.fatal(errno, &file.announced.path()))
    }

    fn has_digest(&self, file: &WrittenFile, reader: &mut MediumReader) -> Result<bool, Errno> {
        let directory = self.volume.directories.descriptor(&file.announced.directory.data.node)?;
        let found = self.volume.opener.file(directory.as_fd(), &file.announced.name)?;
        if stat_fd(found.as_fd())?.kind != Kind::File {
            return Ok(false);
        }
        // One byte more than there should be.
        let bytes = reader.read(found.as_fd(), 0, file.data.len() + 1)?;
        Ok(bytes.len() == file.data.len() && hash(bytes) == file.digest)
    }

    /// Another file in its place, with the same data and attributes, on disk.
    fn write_again(&self, file: &mut WrittenFile, data: &[u8]) -> Result<(), CoreError> {
        let (announced, wanted) = (&file.announced, std::mem::take(&mut file.attributes));
        let placed = self
            .volume
            .directories
            .descriptor(&announced.directory.data.node)
            .and_then(|directory| self.place_file(announced, &directory, &wanted, data, true));
        let (fd, lost) = placed.map_err(|errno| self.volume.fatal(errno, &announced.path()))?;
        file.attributes = self.kept(fd.as_fd(), wanted, lost, &|| file.announced.path())?;
        file.leaf = file_leaf(&file.announced, &file.attributes, (Form::Plain, file.digest));
        Ok(())
    }

    fn remove_written(&self, file: &WrittenFile) -> Result<(), CoreError> {
        let announced = &file.announced;
        self.volume
            .directories
            .descriptor(&announced.directory.data.node)
            .and_then(|directory| match make::unlink(directory.as_fd(), &announced.name) {
                Err(Errno::NOENT) => Ok(()),
                removed => removed,
            })
            .map_err(|errno| self.volume.fatal(errno, &announced.path()))
    }
}
