//! Differences: what a session that only looks finds where the two volumes are not alike.

use crate::fs::aspects::Aspects;
use crate::fs::stat::Kind;

/// What a copy would do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Change {
    /// The target has it, the source has not.
    Extra = 1,
    /// The source has it; the target has nothing under this name, or an entry of another kind.
    Missing = 2,
    /// Both have one of this kind: a copy would send it, or make it anew.
    Replaced = 3,
    /// Attributes, or the names that an inode has.
    Attributes = 4,
}

pub const CHANGES: [Change; 4] = [Change::Extra, Change::Missing, Change::Replaced, Change::Attributes];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub change: Change,
    /// Of the source's entry; of an extra one, the target's.
    pub kind: Kind,
    /// None for what is extra or missing, but that a missing name is a link.
    pub aspects: Aspects,
    /// Relative to the volume's root; empty for the root itself.
    pub path: Vec<u8>,
    /// The target of a symlink of the source; the path of the name that a hard link is linked to. Otherwise empty.
    pub to: Vec<u8>,
}

impl Difference {
    pub fn extra(kind: Kind, path: Vec<u8>) -> Self {
        Self { change: Change::Extra, kind, aspects: Aspects::NONE, path, to: Vec::new() }
    }

    /// Memory that it takes, bytes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.path.len() + self.to.len()
    }
}
