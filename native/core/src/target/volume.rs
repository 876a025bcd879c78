//! The target's volume: opened, made ours, its abilities known.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clearing::{self, Occupied, Own, Terms, volume_error};
use super::journal::{History, Journal};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::{Applier, Attributes, Lost};
use crate::fs::directory_path::{Directories, DirectoryNode};
use crate::fs::fresh::{Creation, Fresh, FreshRule};
use crate::fs::limits::directory_budget;
use crate::fs::make;
use crate::fs::medium::Medium;
use crate::fs::open::{Opener, open_volume};
use crate::fs::probe::probe;
use crate::fs::process::ProcessIds;
use crate::fs::space::{Durability, durability, space, sync_volume};
use crate::fs::stat::Kind;
use crate::fs::xattrs::{self, ACL_DEFAULT, CAPABILITY};
use crate::scan::shown::shown;

pub(super) struct TargetVolume {
    pub(super) path: PathBuf,
    pub(super) root: Arc<DirectoryNode>,
    pub(super) directories: Directories,
    pub(super) opener: Opener,
    pub(super) applier: Applier,
    /// What is made at the root, and among the parts, looks like this.
    pub(super) root_rule: FreshRule,
    pub(super) parts_rule: FreshRule,
    pub(super) fsync_each: bool,
    /// As mountinfo calls its type.
    pub(super) filesystem: String,
    pub(super) creation: Creation,
    /// What earlier sessions of this transfer left word of.
    pub(super) history: History,
    own: Own,
}

impl TargetVolume {
    /// Opens the volume before anything is written, so that its write-back errors reach `sync`.
    pub(super) fn open(path: &Path, transfer: &str, terms: Terms) -> Result<Self, CoreError> {
        let failed = |what: &'static str| move |errno: Errno| volume_error(path, what, errno);
        let root = open_volume(path).map_err(failed("cannot be opened"))?;
        let opener = Opener::new(false);
        let facts = space(root.as_fd()).map_err(failed("cannot be read"))?;
        if facts.read_only {
            return Err(volume_error(path, "is mounted read-only", Errno::ROFS));
        }
        let ids = ProcessIds::read().map_err(failed("cannot be prepared: /proc is missing"))?;
        let Occupied { own, history } = clearing::occupy(&opener, root.as_fd(), path, transfer, terms)?;
        let abilities = probe(&opener, own.folder(), &ids).map_err(failed("cannot be written"))?;
        // Entries would inherit it; the source's own is set when the root is complete.
        let _ = xattrs::remove_fd(root.as_fd(), ACL_DEFAULT);
        let rule = |fd: BorrowedFd<'_>| FreshRule::of(fd, &abilities.creation);
        let root_rule = rule(root.as_fd()).map_err(failed("cannot be read"))?;
        let parts_rule = rule(own.parts.as_fd()).map_err(failed("cannot be read"))?;
        Ok(Self {
            path: path.to_owned(),
            root: DirectoryNode::root(),
            directories: Directories::new(root, opener.clone(), directory_budget()),
            opener,
            // Whether security.selinux travels is the source's decision.
            applier: Applier::new(&abilities, true),
            root_rule,
            parts_rule,
            creation: abilities.creation,
            fsync_each: durability(&facts.filesystem) != Durability::Syncfs,
            filesystem: facts.filesystem,
            history,
            own,
        })
    }

    pub(super) fn parts(&self) -> BorrowedFd<'_> {
        self.own.parts.as_fd()
    }

    /// pvferry's own folder, for a list that does not fit into memory.
    pub(super) fn own_folder(&self) -> std::io::Result<OwnedFd> {
        self.own.folder().try_clone_to_owned()
    }

    pub(super) fn journal(&self) -> &Arc<Journal> {
        &self.own.journal
    }

    /// How far what lies beneath the file system can be read.
    pub(super) fn medium(&self) -> Result<Medium, CoreError> {
        let name = b"medium";
        let probed = self.opener.create_file(self.parts(), name, 0o600).and_then(|file| {
            make::unlink(self.parts(), name)?;
            Ok(Medium::of(&self.filesystem, file.as_fd()))
        });
        probed.map_err(|errno| volume_error(&self.path, "cannot be written", errno))
    }

    /// Writes everything to disk.
    pub(super) fn sync(&self) -> Result<(), CoreError> {
        let failed = |errno| volume_error(&self.path, "could not be written to disk", errno);
        sync_volume(self.root_descriptor().as_fd()).map_err(failed)
    }

    fn root_descriptor(&self) -> &Arc<OwnedFd> {
        self.directories.root()
    }

    /// Everything is on disk when this returns, and the journal says so.
    pub(super) fn make_durable(&self) -> Result<(), CoreError> {
        self.sync()?;
        self.journal().checkpoint()
    }

    /// Our folder goes, and the root gets back the time that this changes; all of that is on disk when this returns.
    /// The folder stays while a file is torn, which has to be known to whoever comes next.
    pub(super) fn leave(&self, root: Option<&Attributes>) -> Result<(), CoreError> {
        if self.journal().has_torn() {
            return Ok(());
        }
        let fd = self.root_descriptor().as_fd();
        let failed = |errno| volume_error(&self.path, "is complete, but its .pvferry stays", errno);
        clearing::leave(&self.own, fd).map_err(failed)?;
        if let Some(root) = root {
            // Where it could not be kept, that has been reported.
            let _ = self.applier.restore_mtime(fd, root.mtime);
        }
        self.sync()
    }

    /// Attributes of a new file that has its data. Where a server or another process writes that later than we do, its
    /// writing would clear file capabilities: there it is written first.
    pub(super) fn apply_to_file(
        &self,
        fd: BorrowedFd<'_>,
        wanted: &Attributes,
        fresh: &Fresh,
    ) -> Result<Vec<Lost>, Errno> {
        if self.fsync_each && wanted.xattrs.get(CAPABILITY).is_some() {
            rustix::fs::fsync(fd)?;
        }
        Ok(self.applier.apply_fd(fd, Kind::File, wanted, fresh))
    }

    /// The error that ends the session for errors that no entry alone is to blame for.
    pub(super) fn fatal(&self, errno: Errno, path: &[u8]) -> CoreError {
        let what = match errno {
            Errno::NOSPC => "is full",
            Errno::DQUOT => "is over its quota",
            Errno::ROFS => "has become read-only",
            _ => "failed",
        };
        volume_error(&self.path, &format!("{what}: writing {}", shown(path)), errno)
    }
}

impl Drop for TargetVolume {
    /// A checkpoint that still waits for the disk must not write to a journal that the next session has opened.
    fn drop(&mut self) {
        self.journal().close();
    }
}

/// Whether an error means that nothing more can be written at all.
pub(super) fn is_fatal(errno: Errno) -> bool {
    matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::ROFS | Errno::IO | Errno::STALE | Errno::NODEV)
}
