//! Large files: each piece is read back for itself, and the file gets its name when all are.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use super::super::large::Large;
use super::super::session::Shared;
use super::{Found, MediumReader};
use crate::digest::file::{Form, PIECE, piece_digest};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::medium::open_again;
use crate::session::item::ItemClass;
use crate::wire::lane::{End, Piece};

/// A piece that is in its part file.
pub(crate) struct WrittenPiece {
    pub(crate) large: Arc<Large>,
    pub(crate) piece: Piece,
    pub(crate) form: Form,
    /// Of the whole file.
    pub(crate) size: u64,
    pub(crate) data: Vec<u8>,
}

/// A file of which every piece has come, and whose digest is right.
pub(crate) struct WholeFile {
    pub(crate) large: Arc<Large>,
    pub(crate) end: End,
    pub(crate) form: Form,
    pub(crate) size: u64,
}

impl Shared {
    /// A piece of an attempt that is over is nobody's concern.
    pub(super) fn read_back_piece(&self, written: &WrittenPiece, reader: &mut MediumReader) -> Result<(), CoreError> {
        let large = &written.large;
        {
            let mut state = large.lock();
            if state.attempt != written.piece.of.attempt || state.is_ended() {
                return Ok(());
            }
            // Another attempt waits: it must not meet this one's bytes.
            state.writing += 1;
        }
        let done = self.read_or_repair(written, reader);
        large.lock().unread -= 1;
        large.written();
        done.map_err(|errno| self.volume.fatal(errno, &large.announced.path()))
    }

    /// A piece that is not on the medium, even after it was written once more, makes the file corrupted. One item for each
    /// file, however much of it that is.
    fn read_or_repair(&self, written: &WrittenPiece, reader: &mut MediumReader) -> Result<(), Errno> {
        let large = &written.large;
        let cause = match on_medium(written, reader)? {
            Found::AsWritten => return Ok(()),
            Found::Unknown(errno) => {
                self.not_read_back(large, errno);
                return Ok(());
            }
            Found::Damaged(cause) => cause,
        };
        let from = written.piece.index * PIECE;
        let what = format!("bytes {from} to {}", from + u64::from(written.piece.length) - 1);
        let part = &large.part;
        part.discard_piece(written.piece.index, written.piece.length, written.size);
        let again = part
            .write_piece(&written.piece, &written.data)
            .and_then(|()| rustix::fs::fdatasync(&part.fd))
            .map_or_else(|errno| Ok(Found::Damaged(Some(errno))), |()| on_medium(written, reader))?;
        match again {
            Found::AsWritten => self.report_damage(ItemClass::Repaired, large.announced.path(), &what, cause),
            Found::Damaged(_) | Found::Unknown(_) if std::mem::replace(&mut large.lock().corrupted, true) => {}
            Found::Damaged(cause) => self.report_damage(ItemClass::Corrupted, large.announced.path(), &what, cause),
            Found::Unknown(errno) => {
                self.report_damage(ItemClass::Corrupted, large.announced.path(), &what, Some(errno));
            }
        }
        Ok(())
    }

    /// Something of a large file is not read back, where that is asked: it counts as streamed, and one item says so.
    pub(in super::super) fn not_read_back(&self, large: &Large, errno: Errno) {
        if self.read_back.is_some() && !std::mem::replace(&mut large.lock().unknown, true) {
            self.report_unknown(large.announced.path(), errno);
        }
    }

    /// Gives a file its name when all its pieces are on the medium.
    pub(super) fn finish_read_back(&self, whole: &WholeFile) -> Result<(), CoreError> {
        let large = &whole.large;
        let mut state = large.lock();
        while state.unread > 0 {
            self.life.stop.check()?;
            state = large.wait(state, Duration::from_millis(200));
        }
        let corrupted = state.corrupted;
        drop(state);
        if corrupted {
            return self.remove_large(large);
        }
        let leaf = self.name_large(whole)?;
        // The lane was answered long ago, and may have died with the answer.
        self.files.remember([(large.id, leaf)]);
        Ok(())
    }
}

fn on_medium(written: &WrittenPiece, reader: &mut MediumReader) -> Result<Found, Errno> {
    Found::of(has_digest(written, reader))
}

fn has_digest(written: &WrittenPiece, reader: &mut MediumReader) -> Result<bool, Errno> {
    let WrittenPiece { large, piece, form, size, .. } = written;
    let own = open_again(large.part.fd.as_fd())?;
    let bytes = reader.read(own.as_fd(), piece.index * PIECE, piece.length as usize)?;
    Ok(bytes.len() == piece.length as usize && piece_digest(*form, *size, piece.index, bytes) == piece.digest)
}
