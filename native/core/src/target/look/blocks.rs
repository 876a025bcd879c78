//! Large files that differ, in a dry run: which blocks a copy would be sent.

use std::os::fd::{AsFd, OwnedFd};

use super::files::{Known, ToCheck};
use super::session::{Judgement, Looking};
use crate::digest::file::PIECE;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::scan::read::read_at;
use crate::target::large::base_of;
use crate::target::served::Exceptions;
use crate::wire::blocks::Sums;
use crate::wire::channel::malformed;
use crate::wire::index::Outcome;

impl Looking {
    /// With how many bytes from the start of a file that differs the copy to come will compare; 0: with none.
    pub(super) fn base_of(&self, held: u64, size: u64) -> u64 {
        match self.config.judgement {
            Judgement::AsCopy(_) => base_of(held, size),
            Judgement::EveryByte => 0,
        }
    }

    /// What pieces hold on the source: of those that are not the same here we say what is missing. Sums only guess; the
    /// copy to come asks the digests as well.
    pub(super) fn compare_sums(&self, payload: &[u8], buffer: &mut Vec<u8>) -> Result<Exceptions, CoreError> {
        let sums = Sums::read(payload).map_err(malformed)?;
        let file = match self.files.get(sums.of.file)? {
            Known::Waiting(file) if sums.pieces().all(|piece| piece.index.saturating_mul(PIECE) < file.base()) => file,
            _ => {
                return Err(CoreError::protocol(
                    "The peer broke the protocol: it compares where there is nothing to compare with.",
                ));
            }
        };
        // What cannot be read is not there.
        let here = self.open_looked(&file).ok();
        let lacks = |(position, piece): (u32, crate::wire::blocks::PieceSums<'_>)| {
            buffer.resize(piece.length as usize, 0);
            let read = here.as_ref().map(|here| read_at(here.as_fd(), buffer, piece.index.saturating_mul(PIECE)));
            let bytes = read.and_then(Result::ok).unwrap_or(0);
            let lacked = piece.missing(&buffer[..bytes]);
            (!lacked.is_empty()).then_some((position, Outcome::Lacks(lacked)))
        };
        Ok((0..).zip(sums.pieces()).filter_map(lacks).collect())
    }

    pub(super) fn open_looked(&self, file: &ToCheck) -> Result<OwnedFd, Errno> {
        let directory = self.directories.descriptor(&file.place.directory.data.node)?;
        self.opener.file(directory.as_fd(), &file.place.name)
    }
}
