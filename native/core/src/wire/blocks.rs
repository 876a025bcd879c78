//! Messages of a lane about files of which the target has something already: the sums of blocks, and the blocks that it
//! asked for.

use super::cursor::{Cursor, Malformed, Put};
use super::lane::FileAttempt;
use super::limits::SUMS_PIECES;
use crate::digest::Digest;
use crate::digest::blocks::{Blocks, blocks_of};
use crate::digest::file::{PIECE, pieces_from};

/// SUMS: what pieces of a large file hold, without their data.
#[derive(Debug)]
pub struct Sums<'a> {
    pub of: FileAttempt,
    /// The first piece. Those between it and the last are whole.
    pub first: u64,
    /// Of all its pieces together, bytes.
    pub length: u32,
    /// A digest for each piece, and behind it the sums of its blocks.
    rest: &'a [u8],
}

/// One piece of SUMS.
#[derive(Debug)]
pub struct PieceSums<'a> {
    pub index: u64,
    pub length: u32,
    pub digest: Digest,
    sums: &'a [u8],
}

impl Sums<'_> {
    /// Writes all but the pieces, which follow: [`put_piece_sums`] for each.
    pub fn put_head(out: &mut Vec<u8>, of: FileAttempt, first: u64, length: u32) {
        of.put(out);
        out.put_u64(first);
        out.put_u32(length);
    }
}

pub fn put_piece_sums(out: &mut Vec<u8>, digest: &Digest, sums: impl Iterator<Item = u64>) {
    out.extend_from_slice(digest);
    sums.for_each(|sum| out.put_u64(sum));
}

impl<'a> Sums<'a> {
    pub fn read(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let sums = Self {
            of: FileAttempt::read(&mut cursor)?,
            first: cursor.u64()?,
            length: cursor.u32()?,
            rest: cursor.remainder(),
        };
        let pieces = u64::from(sums.length).div_ceil(PIECE);
        if pieces == 0 || pieces > SUMS_PIECES || sums.first.checked_add(pieces).is_none() {
            return Err(Malformed("sums of no pieces or of too many"));
        }
        let expected: usize = pieces_from(sums.first, sums.length).map(|(_, length)| piece_bytes(length)).sum();
        if sums.rest.len() == expected {
            Ok(sums)
        } else {
            Err(Malformed("sums of more or fewer blocks than there are"))
        }
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = PieceSums<'a>> + use<'a> {
        let mut rest = self.rest;
        pieces_from(self.first, self.length).map_while(move |(index, length)| {
            let (one, tail) = rest.split_at_checked(piece_bytes(length))?;
            rest = tail;
            let (digest, sums) = one.split_first_chunk()?;
            Some(PieceSums { index, length, digest: *digest, sums })
        })
    }
}

/// Bytes that a piece of this length takes in SUMS.
fn piece_bytes(length: u32) -> usize {
    size_of::<Digest>() + 8 * blocks_of(length as usize)
}

impl PieceSums<'_> {
    /// Those of its blocks that `base` does not hold.
    pub fn missing(&self, base: &[u8]) -> Blocks {
        let sums = self.sums.chunks_exact(8).filter_map(|sum| Some(u64::from_be_bytes(sum.try_into().ok()?)));
        Blocks::missing(self.length as usize, sums, base)
    }
}

/// PATCH: those blocks of a piece that the target asked for.
#[derive(Debug)]
pub struct Patch {
    pub of: FileAttempt,
    pub index: u64,
    /// Length of the whole piece.
    pub length: u32,
    pub digest: Digest,
    pub blocks: Blocks,
}

impl Patch {
    pub fn put(&self, out: &mut Vec<u8>) {
        self.of.put(out);
        out.put_u64(self.index);
        out.put_u32(self.length);
        out.extend_from_slice(&self.digest);
        out.extend_from_slice(&self.blocks.to_wire());
    }

    /// The patch and its data as sent: the blocks' bytes one after another.
    pub fn read(payload: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let mut cursor = Cursor::new(payload);
        let patch = Self {
            of: FileAttempt::read(&mut cursor)?,
            index: cursor.u64()?,
            length: cursor.u32()?,
            digest: cursor.digest()?,
            blocks: read_blocks(&mut cursor)?,
        };
        if patch.length == 0 || u64::from(patch.length) > PIECE {
            return Err(Malformed("a piece is empty or too long"));
        }
        if patch.blocks.is_empty() || !patch.blocks.fits(patch.length as usize) {
            return Err(Malformed("a patch of no blocks, or of blocks beyond its piece"));
        }
        Ok((patch, cursor.remainder()))
    }

    /// Bytes of data that the blocks hold.
    pub fn data_length(&self) -> usize {
        self.blocks.bytes(self.length as usize)
    }
}

pub(super) fn read_blocks(cursor: &mut Cursor<'_>) -> Result<Blocks, Malformed> {
    let bytes = <[u8; 16]>::try_from(cursor.bytes(16)?).map_err(|_| Malformed("a frame ends too early"))?;
    Ok(Blocks::from_wire(bytes))
}
