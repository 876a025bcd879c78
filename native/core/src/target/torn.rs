//! Large files that are written into themselves (`inplace`), for which no second copy has room. From before the first byte
//! until it is whole again such a file is torn: neither what it was nor what the source has. The journal says so, and a
//! torn file is never taken for unchanged, whatever its size and times.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::Announced;
use super::journal::{PartEnd, Record, Torn};
use super::large::Large;
use super::session::Shared;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::make;
use crate::fs::stat::{Kind, Stat, stat_at, stat_fd};
use crate::fs::xattrs::CAPABILITY;
use crate::session::item::{Item, ItemClass, Side};

/// What the journal calls torn, of this session and earlier ones: inodes by path. Beside the journal's own account, which
/// is locked while it waits for the disk: each file that is compared asks.
#[derive(Debug, Default)]
pub(super) struct TornFiles(Mutex<BTreeMap<Vec<u8>, u64>>);

impl TornFiles {
    pub(super) fn new(torn: &[Torn]) -> Self {
        Self(Mutex::new(torn.iter().map(|torn| (torn.path.clone(), torn.inode)).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an inode is one of the torn ones, which it is under its own path only.
pub(super) fn is_among(torn: &BTreeMap<Vec<u8>, u64>, stat: &Stat, path: impl FnOnce() -> Vec<u8>) -> bool {
    !torn.is_empty() && torn.get(&path()) == Some(&stat.inode)
}

impl Shared {
    /// Opens the file that bears the name, to be written into itself, and has the journal call it torn. None: it is
    /// written beside itself. So is a file with other names, which may be outside of what is copied, and one that may not
    /// be written to.
    pub(super) fn open_inplace(&self, announced: &Announced) -> Result<Option<OwnedFd>, CoreError> {
        if !self.config.inplace || announced.base == 0 || !announced.replaces || announced.link != 0 {
            return Ok(None);
        }
        let opened = self.volume.directories.descriptor(&announced.directory.data.node).and_then(|directory| {
            let file = self.volume.opener.part(directory.as_fd(), &announced.name)?;
            let stat = stat_fd(file.as_fd())?;
            Ok((file, stat))
        });
        let Ok((file, stat)) = opened else { return Ok(None) };
        if stat.kind != Kind::File || stat.shared_key().is_some() {
            return Ok(None);
        }
        let torn = Torn { path: announced.path(), inode: stat.inode };
        if !self.volume.journal().mark_torn(&torn)? {
            return Ok(None);
        }
        self.torn.lock().insert(torn.path, torn.inode);
        if let Some(left) = announced.left.as_deref() {
            let _ = make::unlink(self.volume.parts(), left.name.as_bytes());
            self.part_ended(&left.name, PartEnd::Dropped)?;
        }
        Ok(Some(file))
    }

    pub(super) fn is_torn(&self, announced: &Announced, stat: &Stat) -> bool {
        is_among(&self.torn.lock(), stat, || announced.path())
    }

    /// A file that was written into itself is whole: it gets its attributes; what it has then. `EBUSY` when something else
    /// has taken its name meanwhile.
    pub(super) fn mend(&self, large: &Large, wanted: &Attributes) -> Result<Result<Attributes, Errno>, CoreError> {
        let (announced, fd) = (&large.announced, large.part.fd.as_fd());
        let key = |stat: &Stat| (stat.device, stat.inode);
        let found = self.volume.directories.descriptor(&announced.directory.data.node).and_then(|directory| {
            let stat = stat_at(directory.as_fd(), &announced.name)?;
            if key(&stat) == key(&stat_fd(fd)?) { Ok((directory, stat)) } else { Err(Errno::BUSY) }
        });
        let (directory, stat) = match found {
            Ok(found) => found,
            Err(errno) => return Ok(Err(errno)),
        };
        let sync = || rustix::fs::fsync(fd).map_err(|errno| self.volume.fatal(errno, &announced.path()));
        // What is written later than they are set would clear them (volume.rs, apply_to_file).
        if self.volume.fsync_each && wanted.xattrs.get(CAPABILITY).is_some() {
            sync()?;
        }
        let attributes = self.bring(&directory, &announced.name, &stat, wanted, &|| announced.path())?;
        // Its times may reach the disk before its data does; nobody would look into it again.
        sync()?;
        self.mended(announced.path())?;
        Ok(Ok(attributes))
    }

    fn mended(&self, path: Vec<u8>) -> Result<(), CoreError> {
        self.torn.lock().remove(&path);
        self.volume.journal().append(&[Record::Mended { path }])
    }

    /// Everything is written: what is torn even now is named; what has been replaced or removed is torn no more.
    pub(super) fn name_torn(&self) -> Result<(), CoreError> {
        let torn: Vec<(Vec<u8>, u64)> = self.torn.lock().iter().map(|(path, inode)| (path.clone(), *inode)).collect();
        for (path, inode) in torn {
            if self.still_bears(&path, inode) {
                let detail = "torn: written into itself in part, it is neither what it was nor what the source has";
                self.report(Item::said(Side::Target, ItemClass::NotWritten, path, "data", detail));
            } else {
                self.mended(path)?;
            }
        }
        Ok(())
    }

    /// Whether a path leads to this inode. One that cannot be followed is believed to.
    fn still_bears(&self, path: &[u8], inode: u64) -> bool {
        match self.look_up(path) {
            Ok(stat) => stat.kind == Kind::File && stat.inode == inode,
            Err(errno) => !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP),
        }
    }

    fn look_up(&self, path: &[u8]) -> Result<Stat, Errno> {
        let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let name = names.pop().ok_or(Errno::NOENT)?;
        let above =
            names.into_iter().fold(Arc::clone(&self.volume.root), |node, name| DirectoryNode::child(&node, name));
        stat_at(self.volume.directories.descriptor(&above)?.as_fd(), name)
    }
}
