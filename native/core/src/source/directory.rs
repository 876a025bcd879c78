//! Directories of the source that are not settled yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::digest::Digest;
use crate::digest::leaf::{FAILED_LEAF, Leaf, Payload, leaf};
use crate::digest::tree::{Complete, TreeDirectory};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::Kind;

pub(super) type SourceDirectory = TreeDirectory<DirectoryData>;

#[derive(Debug)]
pub(super) struct DirectoryData {
    pub(super) id: u64,
    pub(super) node: Arc<DirectoryNode>,
    pub(super) attributes: Attributes,
    /// Stands for the path in the digest of hard links.
    pub(super) path_hash: Digest,
    /// The target could not make it.
    pub(super) failed: AtomicBool,
}

/// Completes directories of the source: their leaf is what was read of them.
pub(super) struct SourceComplete;

impl Complete<DirectoryData> for SourceComplete {
    type Error = CoreError;

    fn complete(&self, directory: &Arc<SourceDirectory>, roots: Option<Leaf>) -> Result<Leaf, CoreError> {
        let data = &directory.data;
        if data.failed.load(Ordering::Relaxed) {
            return Ok(FAILED_LEAF);
        }
        let roots = roots.ok_or_else(|| CoreError::bug("A directory's entries were settled twice."))?;
        Ok(leaf(&data.node.name, Kind::Directory, &data.attributes, &Payload::Directory { roots }))
    }
}
