//! A file that is here already, once more: where the file system refuses it another name.

use std::os::fd::{AsFd, OwnedFd};

use super::links::{Contents, First, NamePlace};
use super::pack::write_at;
use super::session::Shared;
use crate::digest::Digest;
use crate::digest::file::{Form, PIECE};
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::{Attributes, Lost};
use crate::fs::extents::DataRanges;
use crate::fs::make;
use crate::fs::stat::{Kind, stat_fd};
use crate::scan::digest::digest_file;
use crate::scan::read::{form_of, read_at, segments};
use crate::session::life::Living;

impl Shared {
    /// The file system refuses the link (EMLINK, EPERM ...): a copy of its own, and an item.
    pub(super) fn copy_instead(
        &self,
        first: &First,
        place: &NamePlace,
        (old, new): (&OwnedFd, &OwnedFd),
        refused: Errno,
    ) -> Result<Option<Leaf>, CoreError> {
        self.not_kept(place.path(), "hard link", Some(refused), "copied instead")?;
        let Contents::File { form, digest } = first.contents else {
            return self.make_entry(&First { place: place.clone(), ..first.clone() }, 0);
        };
        let copied = self
            .volume
            .opener
            .file(old.as_fd(), &first.place.name)
            .and_then(|from| self.copy_file(&from, (form, digest), &first.attributes, (new, place)));
        match copied {
            Ok(Some(lost)) => {
                self.report_lost(&place.path(), lost)?;
                self.count_made(Some(Kind::File));
                Ok(Some(first.leaf(&place.name)))
            }
            Ok(None) => Ok(None),
            Err(errno) => {
                self.not_written(place.path(), "data", errno)?;
                Ok(None)
            }
        }
    }

    /// What of its attributes the copy has lost; None when the medium does not keep it, as an item says.
    fn copy_file(
        &self,
        from: &OwnedFd,
        known: (Form, Digest),
        attributes: &Attributes,
        (new, place): (&OwnedFd, &NamePlace),
    ) -> Result<Option<Vec<Lost>>, Errno> {
        let (parts, part) = (self.volume.parts(), self.claims.part_name());
        let to = self.volume.opener.create_file(parts, part.as_bytes(), 0o600)?;
        let made = self.fill_copy(from, &to).and_then(|()| self.is_copied(from, &to, known, place)).and_then(|kept| {
            if !kept {
                return Ok(None);
            }
            let lost = self.finish_copy(&to, attributes)?;
            let directory = (&place.directory.data.node, new.as_fd());
            self.put_in_place(part.as_bytes(), directory, &place.name, place.replaces).map(|()| Some(lost))
        });
        if !matches!(made, Ok(Some(_))) {
            let _ = make::unlink(parts, part.as_bytes());
        }
        made
    }

    /// Whether the medium has the copy, where that is asked. A file that nobody has read is what it is here.
    fn is_copied(&self, from: &OwnedFd, to: &OwnedFd, known: (Form, Digest), place: &NamePlace) -> Result<bool, Errno> {
        if self.read_back.is_none() {
            return Ok(true);
        }
        let size = stat_fd(from.as_fd())?.size;
        let (form, digest) = match known {
            (Form::Assumed, _) => {
                let form = form_of(from.as_fd(), size)?;
                (form, digest_file(from.as_fd(), form, size, &mut Vec::new(), &self.life().stop)?)
            }
            known => known,
        };
        self.read_copy_back((to, size), (form, digest), place.path(), || self.fill_copy(from, to))
    }

    /// Data of a file that is here already, for a new one among the parts.
    fn fill_copy(&self, from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
        let size = stat_fd(from.as_fd())?.size;
        rustix::fs::ftruncate(to, size)?;
        let mut ranges = DataRanges::new(size);
        let mut buffer = vec![0; PIECE as usize];
        for start in (0..size).step_by(PIECE as usize) {
            self.life().stop.check().map_err(|_| Errno::INTR)?;
            let length = u32::try_from(PIECE.min(size - start)).unwrap_or(0);
            for (offset, count) in segments(&mut ranges, from.as_fd(), start, length, usize::MAX)? {
                let at = start + u64::from(offset);
                let part = &mut buffer[..count as usize];
                let got = read_at(from.as_fd(), part, at)?;
                write_at(to.as_fd(), &part[..got], at)?;
            }
        }
        Ok(())
    }

    fn finish_copy(&self, to: &OwnedFd, attributes: &Attributes) -> Result<Vec<Lost>, Errno> {
        let lost = self.volume.apply_to_file(to.as_fd(), attributes, &self.volume.parts_rule.file(0o600))?;
        if self.volume.fsync_each {
            rustix::fs::fsync(to)?;
        }
        Ok(lost)
    }
}
