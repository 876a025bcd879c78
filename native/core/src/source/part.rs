//! What a lane carries of a large file.

use crate::digest::Digest;
use crate::digest::blocks::Blocks;
use crate::fs::Errno;

/// A part of a large file that a lane carries.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Piece {
        attempt: u16,
        index: u64,
        length: u32,
        segments: Vec<(u32, u32)>,
    },
    Hole {
        attempt: u16,
        first: u64,
        count: u64,
    },
    /// Sums of pieces that are all data, for a target that has something to compare with. `length` is that of all.
    Sums {
        attempt: u16,
        first: u64,
        length: u32,
    },
    /// The blocks of a piece that the target lacks. `digest` is that of the piece as its sums told it.
    Patch {
        attempt: u16,
        index: u64,
        length: u32,
        digest: Digest,
        blocks: Blocks,
    },
    /// Tells the target the size and form of the next attempt.
    Again,
    End,
    Unreadable(Errno),
}

impl Part {
    /// File data that it carries, bytes.
    pub(super) fn data_bytes(&self) -> u64 {
        match self {
            Self::Piece { segments, .. } => segments.iter().map(|(_, length)| u64::from(*length)).sum(),
            Self::Patch { length, blocks, .. } => blocks.bytes(*length as usize) as u64,
            _ => 0,
        }
    }

    /// File data that is on the target when the part is acknowledged, bytes.
    pub(super) fn covered_bytes(&self) -> u64 {
        if let Self::Patch { length, .. } = self { u64::from(*length) } else { self.data_bytes() }
    }

    /// The attempt of a part that can be handed out again.
    pub(super) fn attempt(&self) -> Option<u16> {
        match self {
            Self::Piece { attempt, .. }
            | Self::Hole { attempt, .. }
            | Self::Sums { attempt, .. }
            | Self::Patch { attempt, .. } => Some(*attempt),
            Self::Again | Self::End | Self::Unreadable(_) => None,
        }
    }
}
