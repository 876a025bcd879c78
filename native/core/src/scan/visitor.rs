//! What a walk finds, and whom it tells.

use std::sync::Arc;

use super::attributes::Report;
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::stat::Stat;

/// An entry as the walk found it.
pub struct Scanned<'a> {
    pub name: &'a [u8],
    pub body: Body,
}

pub enum Body {
    /// With its attributes when the policy asks for those of files too.
    File(Stat, Option<Attributes>),
    /// Visited by itself later.
    Directory,
    Symlink {
        stat: Stat,
        target: Box<[u8]>,
        attributes: Attributes,
    },
    Special {
        stat: Stat,
        attributes: Attributes,
    },
    /// An item has said why.
    Failed,
}

/// What the walk calls, from several threads. A directory is announced before its entries and ended after them; its
/// subdirectories follow later. Entries are numbered from 0 in byte order of their names.
pub trait Visitor: Report {
    type Directory: Send + Sync;

    /// Nothing is looked at but what stat(2) tells, and that is asked for anew; links come without their targets.
    const ONLY_STATS: bool = false;

    fn directory(
        &self,
        parent: Option<(&Arc<Self::Directory>, u64)>,
        node: &Arc<DirectoryNode>,
        attributes: Attributes,
    ) -> Result<Arc<Self::Directory>, CoreError>;

    fn entries(&self, directory: &Arc<Self::Directory>, first: u64, batch: &[Scanned<'_>]) -> Result<(), CoreError>;

    /// `complete` is false when the directory could not be listed.
    fn end(&self, directory: &Arc<Self::Directory>, entries: u64, complete: bool) -> Result<(), CoreError>;

    /// A subdirectory that was announced as an entry cannot be entered.
    fn failed(&self, parent: &Arc<Self::Directory>, entry: u64) -> Result<(), CoreError>;

    /// A thread has nothing to do, for a while or for good.
    fn idle(&self) -> Result<(), CoreError> {
        Ok(())
    }
}

/// About what an entry takes in a frame, bytes; xattrs and targets are what makes one large.
pub(super) fn size_hint(name: &[u8], body: &Body) -> usize {
    let xattrs = |attributes: &Attributes| -> usize {
        attributes.xattrs.iter().map(|(name, value)| name.len() + value.len() + 5).sum()
    };
    name.len()
        + 64
        + match body {
            Body::Symlink { target, attributes, .. } => target.len() + xattrs(attributes),
            Body::Special { attributes, .. } | Body::File(_, Some(attributes)) => xattrs(attributes),
            Body::File(_, None) | Body::Directory | Body::Failed => 0,
        }
}
