//! An entry's attributes as far as they are promised; what is left out or cannot be read is reported.

use std::os::fd::BorrowedFd;

use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::Stat;
use crate::fs::xattrs::{self, Reading, Xattrs};
use crate::session::item::{Item, ItemClass, Side};
use crate::wire::limits::MAX_XATTRS_BYTES;

/// Takes what a side has to account for besides entries.
pub trait Report: Sync {
    fn side(&self) -> Side;

    fn item(&self, item: Item);

    /// Something of this kind exists and is not carried, by design.
    fn left_out(&self, kind: &str);

    /// As [`Report::left_out`], of what only an open file tells.
    fn left_out_within(&self, kind: &str) {
        self.left_out(kind);
    }

    /// The rules exclude an entry. Nothing else is told of it.
    fn excluded(&self) {}

    /// An entry was looked at, or with no name the directory itself. Other mounts that are not crossed are not told.
    fn saw(&self, _directory: &DirectoryNode, _name: Option<&[u8]>, _stat: &Stat) {}
}

/// How far a file was accounted for before it is opened, so that nothing counts twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Accounted {
    Nothing,
    /// By the scan, as far as that can without opening it.
    Seen,
    /// By an earlier reading.
    All,
}

/// Passes on what was not accounted for yet.
pub struct Remaining<'a>(pub &'a dyn Report, pub Accounted);

impl Report for Remaining<'_> {
    fn side(&self) -> Side {
        self.0.side()
    }

    fn item(&self, item: Item) {
        if self.1 == Accounted::Nothing {
            self.0.item(item);
        }
    }

    fn left_out(&self, kind: &str) {
        if self.1 == Accounted::Nothing {
            self.0.left_out(kind);
        }
    }

    fn left_out_within(&self, kind: &str) {
        if self.1 != Accounted::All {
            self.0.left_out(kind);
        }
    }
}

/// Attributes of what a descriptor holds, `stat` being its own. `path` is called for an item alone.
pub fn of_descriptor(
    fd: BorrowedFd<'_>,
    stat: &Stat,
    keep_selinux: bool,
    report: &dyn Report,
    path: &dyn Fn() -> Vec<u8>,
) -> Result<Attributes, Errno> {
    let reading = xattrs::read_fd(fd, keep_selinux)?;
    Ok(of_stat(stat, account(reading, report, path)))
}

/// Attributes of an entry that cannot be opened without consequences: symlinks, FIFOs, sockets, devices.
pub fn of_entry(
    directory: BorrowedFd<'_>,
    name: &[u8],
    stat: &Stat,
    keep_selinux: bool,
    report: &dyn Report,
    path: &dyn Fn() -> Vec<u8>,
) -> Result<Attributes, Errno> {
    let reading = xattrs::read_at(directory, name, keep_selinux)?;
    Ok(of_stat(stat, account(reading, report, path)))
}

/// Attributes with the extended ones given.
pub fn of_stat(stat: &Stat, xattrs: Xattrs) -> Attributes {
    Attributes { mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: stat.mtime, xattrs }
}

fn account(reading: Reading, report: &dyn Report, path: &dyn Fn() -> Vec<u8>) -> Xattrs {
    for row in reading.left_out.iter() {
        report.left_out(row.label());
    }
    for (name, errno) in &reading.unreadable {
        let what = format!("xattr {}", String::from_utf8_lossy(name));
        report.item(Item::failed(report.side(), ItemClass::NotKept, path(), what, *errno));
    }
    let total: usize = reading.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if total > MAX_XATTRS_BYTES {
        let detail = format!("{total} bytes of extended attributes, more than the {MAX_XATTRS_BYTES} that travel");
        report.item(Item::said(report.side(), ItemClass::NotKept, path(), "xattrs", detail));
        return Xattrs::default();
    }
    reading.xattrs
}
