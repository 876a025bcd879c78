//! A volume opened for reading, and what of it is looked at.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use super::filter::{Filter, Within};
use crate::error::{CoreError, ErrorKind};
use crate::fs::directory_path::{Directories, DirectoryNode};
use crate::fs::flags::FlagReader;
use crate::fs::limits::directory_budget;
use crate::fs::open::{Opener, open_volume};
use crate::fs::stat::{Stat, stat_fd};

/// Names at the root of a volume that are never copied, read or removed: what mkfs made, and our own folder.
pub const RESERVED: [&[u8]; 2] = [b"lost+found", OWN_FOLDER];

/// pvferry's folder at the root of a target while a copy is unfinished.
pub const OWN_FOLDER: &[u8] = b".pvferry";

#[derive(Clone, Debug)]
pub struct ScanPolicy {
    /// Mount points beneath are not entered.
    pub one_file_system: bool,
    /// security.selinux is kept rather than left out.
    pub keep_selinux: bool,
    /// The attributes of regular files are read when they are found, and not only with their data.
    pub file_attributes: bool,
    /// What it excludes is not looked at, and not entered.
    pub filter: Option<Arc<Filter>>,
}

pub struct Volume {
    pub root: Arc<DirectoryNode>,
    pub directories: Directories,
    pub opener: Opener,
    pub policy: ScanPolicy,
    pub flags: FlagReader,
    pub root_stat: Stat,
}

impl Volume {
    /// Opens the directory at `path`. The error names it and is of kind volume.
    pub fn open(path: &Path, policy: ScanPolicy) -> Result<Self, CoreError> {
        let fail = |errno: crate::fs::Errno| {
            let error = std::io::Error::from(errno);
            CoreError::from_io(ErrorKind::Volume, format!("The volume {} cannot be opened", path.display()), &error)
        };
        let descriptor = open_volume(path).map_err(fail)?;
        let root_stat = stat_fd(descriptor.as_fd()).map_err(fail)?;
        let opener = Opener::new(!policy.one_file_system);
        let directories = Directories::new(descriptor, opener.clone(), directory_budget());
        Ok(Self { root: DirectoryNode::root(), directories, opener, policy, flags: FlagReader::default(), root_stat })
    }

    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.directories.root().as_fd()
    }

    /// The rules for a directory's entries, if there are any.
    pub(super) fn rules_within(&self, node: &DirectoryNode) -> Option<Within<'_>> {
        self.policy.filter.as_ref().map(|filter| filter.within(node))
    }

    /// Whether an entry lies on another mount that is not to be crossed.
    pub fn is_foreign(&self, stat: &Stat) -> bool {
        self.policy.one_file_system
            && matches!((stat.mount_id, self.root_stat.mount_id), (Some(own), Some(root)) if own != root)
    }
}
