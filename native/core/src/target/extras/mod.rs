//! What the target holds and the source does not: collected while directories are compared, removed when everything
//! else is settled.

mod distrusted;
mod limit;
mod store;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distrusted::Distrusted;
pub use limit::{MaxDelete, check_deletions};
use store::{Reader, Store};

use super::clearing::volume_error;
use super::directory::DirectoryData;
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::apply::Applier;
use crate::fs::directory_path::{Directories, DirectoryNode, path_bytes};
use crate::fs::list::Listing;
use crate::fs::open::Opener;
use crate::fs::stat::Kind;
use crate::fs::sweep::{ClearError, Sweep, Witness, Work};
use crate::scan::filter::Filter;
use crate::scan::volume::RESERVED;
use crate::session::item::{Item, ItemClass, Side};
use crate::session::ledger::Ledger;
use crate::session::stop::Stop;

/// Names that shall go, and how many entries may. Any thread may add names.
///
/// Entries beneath extra directories are counted when removal begins, and only if there is a limit: the walk finds what
/// is there by then, and costs nothing where nobody asks.
pub struct Extras {
    limit: MaxDelete,
    distrusted: Distrusted,
    store: Mutex<Store>,
    /// Held while entries of a directory are removed: afterwards it gets back the times that it had before.
    removing: Mutex<()>,
    account: Mutex<Account>,
}

#[derive(Default)]
struct Account {
    /// Entries that the target had in the directories that both sides have.
    listed: u64,
    /// Entries found beneath extra directories.
    beneath: u64,
    /// Entries that the limit has let pass.
    granted: u64,
}

/// What removal needs of its session.
pub struct Remover<'a> {
    pub volume: &'a Path,
    pub directories: &'a Directories,
    pub applier: &'a Applier,
    /// Directories that something was removed from are synced one by one.
    pub fsync_each: bool,
    pub stop: &'a Stop,
    /// What it excludes stays, and is not counted among the entries that may be removed.
    pub filter: Option<&'a Filter>,
    pub ledger: &'a Ledger,
    /// Takes an item to this side's account and to the peer.
    pub report: &'a dyn Fn(Item),
}

impl Extras {
    /// `folder` is pvferry's own: names beyond some 64 KiB go to a file in it, which loses its name when removal begins.
    pub fn new(folder: OwnedFd, opener: Opener, limit: MaxDelete) -> Self {
        let store = Mutex::new(Store::new(Arc::new(folder), opener));
        Self { limit, distrusted: Distrusted::default(), store, removing: Mutex::default(), account: Mutex::default() }
    }

    /// How many entries the target had in a directory that both sides have, extra ones included: what a share in percent
    /// is taken of. pvferry's own folder, lost+found and what a rule excludes are not told here.
    pub fn listed(&self, entries: u64) {
        self.account().listed += entries;
    }

    /// Something announced could not be made because its name is taken, though the directory was not found to hold it: a
    /// file system that takes several spellings for one name. What looks extra there may be the source's, and stays.
    pub(super) fn distrust(&self, directory: &DirectoryData, errno: Errno) {
        if errno == Errno::EXIST && directory.present.is_some() {
            self.distrusted.add(&directory.node);
        }
    }

    /// Notes names of a directory that the source does not have. At the root, pvferry's own folder and lost+found are
    /// none.
    pub fn add<'n>(
        &self,
        directory: &Arc<DirectoryNode>,
        names: impl IntoIterator<Item = &'n [u8]>,
    ) -> Result<(), CoreError> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.add(directory, extra(directory, names)).map_err(|error| unwritable(&error))
    }

    pub fn is_empty(&self) -> bool {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Removes everything noted so far; how many entries that were. With more than the limit allows, nothing is removed
    /// and the error is of kind limit. What cannot be removed is an item. Blocks.
    pub fn remove_all(&self, remover: &Remover<'_>) -> Result<u64, CoreError> {
        let Some(store) = self.take() else { return Ok(0) };
        let mut reader = store.into_reader().map_err(|error| unreadable(&error))?;
        if !self.limit.is_unlimited() {
            self.permit(self.count_noted(&mut reader, remover)?, remover)?;
            reader.rewind().map_err(|error| unreadable(&error))?;
        }
        let mut removed = 0;
        while let Some(record) = reader.next().map_err(|error| unreadable(&error))? {
            if self.distrusted.has(&record.directory) {
                self.distrusted.report(&record.directory, remover);
                continue;
            }
            let _removing = self.pause();
            removed += self.remove(&record.directory, &record.names, remover)?;
            remover.directories.forget(&record.directory);
        }
        Ok(removed)
    }

    fn remove(&self, directory: &Arc<DirectoryNode>, names: &Listing, remover: &Remover<'_>) -> Result<u64, CoreError> {
        let work = Work::RemoveKeepingTimes { applier: remover.applier, fsync: remover.fsync_each };
        let (removed, result) = remover.sweep(work, |sweep| sweep.names(directory, names));
        remover.ledger.count_deleted(removed);
        result.map(|()| removed)
    }

    fn count_noted(&self, reader: &mut Reader, remover: &Remover<'_>) -> Result<Counted, CoreError> {
        let mut counted = Counted { entries: 0, names: 0 };
        while let Some(record) = reader.next().map_err(|error| unreadable(&error))? {
            if self.distrusted.has(&record.directory) {
                continue;
            }
            let (entries, result) = remover.sweep(Work::Count, |sweep| sweep.names(&record.directory, &record.names));
            result?;
            counted.entries += entries;
            counted.names += record.names.len() as u64;
            remover.directories.forget(&record.directory);
        }
        Ok(counted)
    }

    /// Whether so many more may go.
    fn permit(&self, planned: Counted, remover: &Remover<'_>) -> Result<(), CoreError> {
        let mut account = self.account();
        account.beneath += planned.entries.saturating_sub(planned.names);
        let before = account.listed + account.beneath;
        let all = account.granted + planned.entries;
        check_deletions(remover.volume, self.limit, all, before, "nothing was removed")?;
        account.granted = all;
        Ok(())
    }

    /// Nothing is removed as long as the guard lives.
    pub(super) fn pause(&self) -> MutexGuard<'_, ()> {
        self.removing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Store> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.is_empty() { None } else { Some(store.take()) }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a removal would take, and how many of that were noted by name.
#[derive(Clone, Copy)]
struct Counted {
    entries: u64,
    names: u64,
}

fn extra<'n>(
    directory: &Arc<DirectoryNode>,
    names: impl IntoIterator<Item = &'n [u8]>,
) -> impl Iterator<Item = &'n [u8]> {
    let at_root = directory.parent.is_none();
    names.into_iter().filter(move |name| !(at_root && RESERVED.contains(name)))
}

fn unwritable(error: &std::io::Error) -> CoreError {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    let kind = if full { ErrorKind::Space } else { ErrorKind::Io };
    CoreError::from_io(kind, "The list of extra entries in .pvferry cannot be written", error)
}

fn unreadable(error: &std::io::Error) -> CoreError {
    CoreError::from_io(ErrorKind::Io, "The list of extra entries in .pvferry cannot be read", error)
}

impl Remover<'_> {
    /// How many entries the sweep removed or counted, however it ended.
    fn sweep(
        &self,
        work: Work<'_>,
        run: impl FnOnce(&mut Sweep<'_>) -> Result<(), ClearError>,
    ) -> (u64, Result<(), CoreError>) {
        let mut witness = Telling { remover: self, silent: matches!(work, Work::Count) };
        let mut sweep = Sweep::new(self.directories, work, &mut witness);
        let result = run(&mut sweep);
        (sweep.done(), result.map_err(|error| self.fatal(&error)))
    }

    fn fatal(&self, error: &ClearError) -> CoreError {
        if self.stop.is_stopped() {
            return self.stop.error();
        }
        let what = format!("failed: removing {}", crate::scan::shown::shown(&error.path));
        volume_error(self.volume, &what, error.errno)
    }
}

/// Turns what stays into items. Counting tells nothing: removal meets the same again.
struct Telling<'a> {
    remover: &'a Remover<'a>,
    silent: bool,
}

impl Telling<'_> {
    fn not_kept(&self, what: &str, error: ClearError) -> Result<(), ClearError> {
        if matches!(error.errno, Errno::IO | Errno::NODEV) {
            return Err(error);
        }
        if !self.silent {
            (self.remover.report)(Item::failed(Side::Target, ItemClass::NotKept, error.path, what, error.errno));
        }
        Ok(())
    }
}

impl Witness for Telling<'_> {
    fn stopped(&self) -> bool {
        self.remover.stop.is_stopped()
    }

    /// The volumes differ by an entry that stays, but what was copied is there: not "not written". Like an attribute that
    /// could not be put right, it must not explain away contents that differ.
    fn stays(&mut self, entry: ClearError) -> Result<(), ClearError> {
        if entry.errno != Errno::XDEV {
            self.not_kept("extra entry", entry)?;
            if !self.silent {
                self.remover.ledger.count_not_removed();
            }
            return Ok(());
        }
        if !self.silent {
            let detail = "left on the target: what is mounted there is not the volume's";
            let item = Item::said(Side::Target, ItemClass::Skipped, entry.path, "mount point", detail);
            (self.remover.report)(item);
        }
        Ok(())
    }

    fn spares(&mut self, directory: &DirectoryNode, name: &[u8], kind: &dyn Fn() -> Option<Kind>) -> bool {
        let spared = self.remover.filter.is_some_and(|filter| filter.within(directory).excludes(name, kind()));
        if spared && !self.silent {
            self.remover.ledger.count_excluded(1);
        }
        spared
    }

    fn shelters(&mut self, directory: &DirectoryNode) {
        if !self.silent {
            let detail = "stays: it holds what a rule excludes";
            let path = path_bytes(directory);
            (self.remover.report)(Item::said(Side::Target, ItemClass::Skipped, path, "extra directory", detail));
        }
    }

    fn lost(&mut self, what: &str, directory: ClearError) -> Result<(), ClearError> {
        self.not_kept(what, directory)
    }
}
