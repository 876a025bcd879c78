//! Directories of the target that are not complete yet, and what completes them: their attributes, times last.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::open_directories::Numbered;
use super::order::Order;
use super::present::Present;
use super::session::Shared;
use crate::digest::Digest;
use crate::digest::leaf::{FAILED_LEAF, Leaf, Payload, leaf};
use crate::digest::tree::{Complete, TreeDirectory};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::{Attributes, Lost};
use crate::fs::directory_path::DirectoryNode;
use crate::fs::fresh::{Fresh, FreshRule};
use crate::fs::stat::{Kind, stat_fd};
use crate::fs::xattrs;
use crate::scan::attributes::of_stat;

pub(super) type TargetDirectory = TreeDirectory<DirectoryData>;

#[derive(Debug)]
pub(super) struct DirectoryData {
    pub(super) id: u64,
    pub(super) node: Arc<DirectoryNode>,
    /// What it shall have in the end; until then it is 0700 and ours.
    pub(super) wanted: Attributes,
    pub(super) fresh: Fresh,
    /// What is made in it looks like this.
    pub(super) rule: FreshRule,
    /// Stands for the path in the digest of hard links.
    pub(super) path_hash: Digest,
    /// What the index has announced of it.
    pub(super) order: Order,
    /// What it held before; None when this session has made it.
    pub(super) present: Option<Present>,
    /// It could not be made: nothing beneath it can be either.
    pub(super) failed: bool,
}

impl Numbered for DirectoryData {
    fn id(&self) -> u64 {
        self.id
    }

    fn xattr_bytes(&self) -> usize {
        self.wanted.xattrs.bytes()
    }
}

impl Complete<DirectoryData> for Shared {
    type Error = CoreError;

    fn complete(&self, directory: &Arc<TargetDirectory>, roots: Option<Leaf>) -> Result<Leaf, CoreError> {
        let data = &directory.data;
        self.directories.remove(data);
        let twice = || CoreError::protocol("The peer broke the protocol: it settles an entry twice.");
        let roots = roots.ok_or_else(twice)?;
        if data.failed {
            return Ok(FAILED_LEAF);
        }
        let kept = self.finish_directory(directory)?;
        self.volume.directories.forget(&data.node);
        let attributes = kept.as_ref().unwrap_or(&data.wanted);
        Ok(leaf(&data.node.name, Kind::Directory, attributes, &Payload::Directory { roots }))
    }
}

impl Shared {
    /// Gives a directory its attributes; Some with what it has instead when some could not be kept.
    fn finish_directory(&self, directory: &Arc<TargetDirectory>) -> Result<Option<Attributes>, CoreError> {
        let data = &directory.data;
        let path = || crate::scan::walk::entry_path(&data.node, None);
        let descriptor = match self.volume.directories.descriptor(&data.node) {
            Ok(descriptor) => descriptor,
            Err(errno) => {
                self.not_kept(path(), "attributes", Some(errno), "")?;
                return Ok(Some(Attributes::default()));
            }
        };
        let fd = descriptor.as_fd();
        // Who removes something here puts back times afterwards, which must not be those from before.
        let _pause = self.extras.pause();
        if directory.parent().is_none() {
            self.root_attributes.set(data.wanted.clone()).ok();
        }
        let lost = if data.present.is_some() || directory.parent().is_none() {
            self.volume.applier.apply_existing(fd, &data.wanted).unwrap_or_else(lost_all)
        } else {
            self.volume.applier.apply_fd(fd, Kind::Directory, &data.wanted, &data.fresh)
        };
        if self.volume.fsync_each {
            rustix::fs::fsync(fd).map_err(|errno| self.volume.fatal(errno, &path()))?;
        }
        if lost.is_empty() {
            return Ok(None);
        }
        self.report_lost(&path(), lost)?;
        let now = stat_fd(fd).and_then(|stat| Ok(of_stat(&stat, xattrs::read_fd(fd, true)?.xattrs)));
        Ok(Some(now.unwrap_or_default()))
    }

    /// Reports each attribute that could not be kept.
    pub(super) fn report_lost(&self, path: &[u8], lost: Vec<Lost>) -> Result<(), CoreError> {
        lost.into_iter().try_for_each(|lost| self.not_kept(path.to_vec(), &lost.what, lost.errno, &lost.detail))
    }
}

pub(super) fn lost_all(errno: Errno) -> Vec<Lost> {
    vec![Lost { what: "attributes".to_owned(), errno: Some(errno), detail: String::new() }]
}
