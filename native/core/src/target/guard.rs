//! What may not be replaced although the source has something else under its name: what a rule excludes.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::session::Shared;
use crate::fs::Errno;
use crate::fs::clear::clear;
use crate::fs::directory_path::{DirectoryNode, entry_path};
use crate::fs::make;
use crate::fs::stat::Kind;
use crate::fs::sweep::{ClearError, Sweep, Witness, Work};
use crate::scan::filter::Filter;
use crate::session::item::{Item, ItemClass, Side};

impl Shared {
    /// Removes what bears a name and is no directory, so that a directory can be made there. `EEXIST` when it is excluded,
    /// which has been reported then.
    pub(super) fn give_way(&self, parent: &DirectoryNode, fd: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        let filter = self.config.filter.as_ref();
        // All that is no directory is alike to the rules.
        if filter.is_some_and(|filter| filter.within(parent).excludes(name, Some(Kind::File))) {
            self.report_excluded(entry_path(parent, name));
            return Err(Errno::EXIST);
        }
        make::unlink(fd, name)
    }

    /// Removes a directory with all that is in it. `ENOTEMPTY` when it is excluded, or anything in it, which has been
    /// reported then: nothing is removed. What is mounted in there stays, and is an error.
    pub(super) fn remove_directory(
        &self,
        parent: &Arc<DirectoryNode>,
        fd: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<(), Errno> {
        if let Some(filter) = &self.config.filter
            && let Some(excluded) = self.first_excluded(filter, parent, name)?
        {
            self.report_excluded(excluded);
            return Err(Errno::NOTEMPTY);
        }
        let directory = self.volume.opener.directory(fd, name)?;
        clear(directory.as_fd(), &[]).map_err(|error| error.errno)?;
        make::remove_directory(fd, name)
    }

    /// The path of the directory, or of the first entry in it, that the rules exclude.
    fn first_excluded(
        &self,
        filter: &Filter,
        parent: &Arc<DirectoryNode>,
        name: &[u8],
    ) -> Result<Option<Vec<u8>>, Errno> {
        if filter.within(parent).excludes(name, Some(Kind::Directory)) {
            return Ok(Some(entry_path(parent, name)));
        }
        let node = DirectoryNode::child(parent, name);
        let mut looking = Looking { filter, found: None };
        let swept = Sweep::new(&self.volume.directories, Work::Count, &mut looking).contents(&node, &[]);
        self.volume.directories.forget(&node);
        match (looking.found, swept) {
            (Some(found), _) => Ok(Some(found)),
            (None, swept) => swept.map(|()| None).map_err(|error| error.errno),
        }
    }

    fn report_excluded(&self, path: Vec<u8>) {
        let detail = "a rule excludes it: it stays, and what the source has in its place is not written";
        self.report(Item::said(Side::Target, ItemClass::Skipped, path, "excluded", detail));
    }
}

/// Ends at the first entry that the rules exclude.
struct Looking<'a> {
    filter: &'a Filter,
    found: Option<Vec<u8>>,
}

impl Witness for Looking<'_> {
    fn stopped(&self) -> bool {
        self.found.is_some()
    }

    fn spares(&mut self, directory: &DirectoryNode, name: &[u8], kind: &dyn Fn() -> Option<Kind>) -> bool {
        let spared = self.filter.within(directory).excludes(name, kind());
        if spared {
            self.found = Some(entry_path(directory, name));
        }
        spared
    }

    /// What cannot be looked into may hold anything.
    fn stays(&mut self, entry: ClearError) -> Result<(), ClearError> {
        Err(entry)
    }

    fn lost(&mut self, _what: &str, directory: ClearError) -> Result<(), ClearError> {
        Err(directory)
    }
}
