//! In which respects an entry differs from what it should be.

use super::apply::{Attributes, NFS4_ACL, is_extra};
use super::stat::{Kind, Stat, Timestamp};
use super::xattrs::{ACL_ACCESS, ACL_DEFAULT, Xattrs};

/// A set; each is one bit, and keeps its place (docs/protocol.md, DIFFERENCES).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aspects(u16);

impl Aspects {
    pub const NONE: Self = Self(0);
    /// The bytes of a file, the target of a symlink, the numbers of a device.
    pub const CONTENT: Self = Self(1);
    pub const SIZE: Self = Self(1 << 1);
    pub const TIME: Self = Self(1 << 2);
    pub const MODE: Self = Self(1 << 3);
    pub const OWNER: Self = Self(1 << 4);
    pub const GROUP: Self = Self(1 << 5);
    pub const ACL: Self = Self(1 << 6);
    pub const XATTRS: Self = Self(1 << 7);
    /// A further name of an inode: it is not that here, or shares the difference.
    pub const LINK: Self = Self(1 << 8);
    const ALL: u16 = (1 << 9) - 1;

    pub fn bits(self) -> u16 {
        self.0
    }

    /// None when a bit is set that stands for nothing.
    pub fn from_bits(bits: u16) -> Option<Self> {
        (bits & !Self::ALL == 0).then_some(Self(bits))
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[must_use]
    pub fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What of an entry's attributes is not as wanted. `same_time` judges the modification times, found and wanted.
pub fn differing(
    stat: &Stat,
    present: &Xattrs,
    wanted: &Attributes,
    same_time: impl FnOnce(Timestamp, Timestamp) -> bool,
) -> Aspects {
    Aspects::NONE
        .with_if(!same_time(stat.mtime, wanted.mtime), Aspects::TIME)
        .with_if(stat.kind != Kind::Symlink && stat.mode != wanted.mode & 0o7777, Aspects::MODE)
        .with_if(stat.uid != wanted.uid, Aspects::OWNER)
        .with_if(stat.gid != wanted.gid, Aspects::GROUP)
        .with(differing_xattrs(present, wanted))
}

fn differing_xattrs(present: &Xattrs, wanted: &Attributes) -> Aspects {
    let missing = wanted.xattrs.iter().filter(|(name, value)| present.get(name) != Some(*value));
    let extra = present.iter().filter(|(name, _)| is_extra(name, wanted));
    missing.chain(extra).fold(Aspects::NONE, |found, (name, _)| {
        let is_acl = matches!(name, ACL_ACCESS | ACL_DEFAULT | NFS4_ACL);
        found.with(if is_acl { Aspects::ACL } else { Aspects::XATTRS })
    })
}
