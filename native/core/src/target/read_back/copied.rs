//! A copy that was made of another file here: read back at once, before it gets its name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::super::session::Shared;
use super::{Found, MediumReader};
use crate::digest::Digest;
use crate::digest::file::{Form, PIECE, piece_digest};
use crate::fs::Errno;
use crate::fs::medium::open_again;
use crate::scan::digest::digest_pieces;

impl Shared {
    /// False when the copy is not on the medium, even after `write` has written it once more. Of this size.
    pub(in super::super) fn read_copy_back(
        &self,
        (copy, size): (&OwnedFd, u64),
        (form, digest): (Form, Digest),
        path: Vec<u8>,
        write: impl Fn() -> Result<(), Errno>,
    ) -> Result<bool, Errno> {
        let Some(queue) = &self.read_back else { return Ok(true) };
        let mut reader = MediumReader::new(queue.medium(), PIECE as usize + 1);
        self.keep_whole(path, size, |again| {
            if again {
                write()?;
            }
            rustix::fs::fdatasync(copy)?;
            let found =
                open_again(copy.as_fd()).and_then(|own| self.medium_digest(own.as_fd(), form, size, &mut reader));
            Found::of(found.map(|found| found == digest))
        })
    }

    fn medium_digest(
        &self,
        own: BorrowedFd<'_>,
        form: Form,
        size: u64,
        reader: &mut MediumReader,
    ) -> Result<Digest, Errno> {
        digest_pieces(own, form, size, &self.life.stop, |index, length, _| {
            let bytes = reader.read(own, index * PIECE, length as usize)?;
            Ok(piece_digest(form, size, index, bytes))
        })
    }
}
