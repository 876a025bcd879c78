//! Items: what could not be read or kept. An item never ends a transfer, and is never only a log line.

use crate::error::errno_name;
use crate::fs::Errno;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Side {
    Source = 1,
    Target = 2,
}

/// What an item means for the verdict (docs/exit-codes.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ItemClass {
    Unreadable = 1,
    NotWritten = 2,
    NotKept = 3,
    Changed = 4,
    Skipped = 5,
    /// Not on the medium as it had been written, and written once more.
    Repaired = 6,
    /// Not on the medium as it had been written twice.
    Corrupted = 7,
}

pub const ITEM_CLASSES: [ItemClass; 7] = [
    ItemClass::Unreadable,
    ItemClass::NotWritten,
    ItemClass::NotKept,
    ItemClass::Changed,
    ItemClass::Skipped,
    ItemClass::Repaired,
    ItemClass::Corrupted,
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub side: Side,
    pub class: ItemClass,
    /// Relative to the volume's root; empty for the root itself.
    pub path: Vec<u8>,
    /// "data", "owner", "xattr user.x", "hard link", "mount point" ...
    pub what: String,
    /// 0 when no system call failed.
    pub errno: i32,
    pub detail: String,
}

impl Item {
    pub fn failed(side: Side, class: ItemClass, path: Vec<u8>, what: impl Into<String>, errno: Errno) -> Self {
        Self { side, class, path, what: what.into(), errno: errno.raw_os_error(), detail: errno_text(errno) }
    }

    pub fn said(
        side: Side,
        class: ItemClass,
        path: Vec<u8>,
        what: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { side, class, path, what: what.into(), errno: 0, detail: detail.into() }
    }

    /// Symbolic errno, such as EPERM.
    pub fn errno_name(&self) -> Option<&'static str> {
        if self.errno == 0 { None } else { errno_name(self.errno) }
    }
}

fn errno_text(errno: Errno) -> String {
    crate::error::describe_io(&std::io::Error::from(errno))
}
