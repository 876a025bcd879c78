//! Directories that are looked at: what is here under their name, and their end.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::session::Looking;
use crate::digest::Digest;
use crate::digest::leaf::{FAILED_LEAF, Leaf, Payload, leaf};
use crate::digest::links::path_hash;
use crate::digest::tree::{Complete, TreeDirectory};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::aspects::Aspects;
use crate::fs::directory_path::{DirectoryNode, entry_path, path_bytes};
use crate::fs::stat::{Kind, Stat, stat_at, stat_fd};
use crate::fs::xattrs;
use crate::session::difference::{Change, Difference};
use crate::target::open_directories::Numbered;
use crate::target::order::Order;
use crate::target::present::Present;
use crate::wire::index::Directory;

pub(super) type LookedDirectory = TreeDirectory<Looked>;

pub(super) struct Looked {
    pub(super) id: u64,
    pub(super) node: Arc<DirectoryNode>,
    pub(super) attributes: Attributes,
    pub(super) path_hash: Digest,
    pub(super) order: Order,
    pub(super) here: Here,
}

/// What the target has of a directory.
pub(super) enum Here {
    /// It, with these names.
    Listed(Present),
    /// Nothing, or something else: all that is announced beneath is missing.
    Missing,
    /// It cannot be looked into, as an item has said: nothing beneath can be compared.
    Closed,
}

impl Numbered for Looked {
    fn id(&self) -> u64 {
        self.id
    }

    fn xattr_bytes(&self) -> usize {
        self.attributes.xattrs.bytes()
    }
}

impl Complete<Looked> for Looking {
    type Error = CoreError;

    fn complete(&self, directory: &Arc<LookedDirectory>, roots: Option<Leaf>) -> Result<Leaf, CoreError> {
        let data = &directory.data;
        self.open.remove(data);
        self.directories.forget(&data.node);
        let twice = || CoreError::protocol("The peer broke the protocol: it settles an entry twice.");
        let roots = roots.ok_or_else(twice)?;
        if !matches!(data.here, Here::Listed(_)) {
            return Ok(FAILED_LEAF);
        }
        Ok(leaf(&data.node.name, Kind::Directory, &data.attributes, &Payload::Directory { roots }))
    }
}

impl Looking {
    pub(super) fn root_directory(&self, message: &Directory<'_>) -> Result<Arc<LookedDirectory>, CoreError> {
        let fd = self.directories.root();
        let found = stat_fd(fd.as_fd()).and_then(|stat| Ok((stat, xattrs::read_fd(fd.as_fd(), true)?)));
        let (stat, reading) = found?;
        let path = || path_bytes(&self.root);
        let present = Present::read(fd.as_fd())?;
        let attributes = self.compare_directory(&stat, reading, message, &path);
        Ok(looked(None, Arc::clone(&self.root), message, attributes, Here::Listed(present)))
    }

    pub(super) fn subdirectory(
        &self,
        parent: &Arc<LookedDirectory>,
        message: &Directory<'_>,
    ) -> Result<Arc<LookedDirectory>, CoreError> {
        let node = DirectoryNode::child(&parent.data.node, message.name);
        let above = Some((parent, message.leaf));
        let path = || entry_path(&parent.data.node, message.name);
        let unlike = |here| looked(above, Arc::clone(&node), message, Attributes::default(), here);
        if matches!(parent.data.here, Here::Closed) {
            return Ok(unlike(Here::Closed));
        }
        let found =
            if matches!(parent.data.here, Here::Missing) { Err(Errno::NOENT) } else { self.find_directory(&node) };
        match found {
            Ok((stat, reading, present)) => {
                let attributes = self.compare_directory(&stat, reading, message, &path);
                Ok(looked(above, node, message, attributes, Here::Listed(present)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                self.tell_differences(vec![missing(Kind::Directory, path(), Vec::new())]);
                Ok(unlike(Here::Missing))
            }
            Err(errno) => {
                self.unreadable(path(), "directory", errno);
                Ok(unlike(Here::Closed))
            }
        }
    }

    fn find_directory(&self, node: &Arc<DirectoryNode>) -> Result<(Stat, xattrs::Reading, Present), Errno> {
        let parent = node.parent.as_ref().ok_or(Errno::INVAL)?;
        let above = self.directories.descriptor(parent)?;
        // A FIFO or a device must not be opened, not even to learn that it is no directory.
        if stat_at(above.as_fd(), &node.name)?.kind != Kind::Directory {
            return Err(Errno::NOTDIR);
        }
        let fd = self.directories.descriptor(node)?;
        let stat = stat_fd(fd.as_fd())?;
        Ok((stat, xattrs::read_fd(fd.as_fd(), true)?, Present::read(fd.as_fd())?))
    }

    /// What the directory has; a difference is told.
    fn compare_directory(
        &self,
        stat: &Stat,
        reading: xattrs::Reading,
        message: &Directory<'_>,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Attributes {
        self.count_looked(Some(Kind::Directory));
        let (aspects, found) = self.compare_attributes(stat, reading, &message.attributes, path);
        if !aspects.is_empty() {
            self.tell_differences(vec![Difference {
                change: Change::Attributes,
                kind: Kind::Directory,
                aspects,
                path: path(),
                to: Vec::new(),
            }]);
        }
        found
    }
}

fn looked(
    above: Option<(&Arc<LookedDirectory>, u64)>,
    node: Arc<DirectoryNode>,
    message: &Directory<'_>,
    attributes: Attributes,
    here: Here,
) -> Arc<LookedDirectory> {
    let hash = above.map_or([0; 32], |(parent, _)| path_hash(&parent.data.path_hash, message.name));
    let data = Looked { id: message.id, node, attributes, path_hash: hash, order: Order::default(), here };
    TreeDirectory::new(above.map(|(parent, leaf)| (Arc::clone(parent), leaf)), data)
}

/// The source has it, and the target has not.
pub(super) fn missing(kind: Kind, path: Vec<u8>, to: Vec<u8>) -> Difference {
    Difference { change: Change::Missing, kind, aspects: Aspects::NONE, path, to }
}
