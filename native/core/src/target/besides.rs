//! What a directory of the target holds besides what the source has announced of it.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::present::Present;
use crate::fs::directory_path::{Directories, DirectoryNode};
use crate::fs::stat::{Kind, stat_at};
use crate::scan::filter::Filter;
use crate::scan::volume::RESERVED;

pub(super) struct Besides {
    pub(super) extras: Vec<Box<[u8]>>,
    /// How many more the rules exclude, and how many are pvferry's own or the file system's.
    pub(super) excluded: u64,
    pub(super) reserved: u64,
}

/// Forgets the names that were listed.
pub(super) fn besides(
    node: &Arc<DirectoryNode>,
    present: &Present,
    filter: Option<&Filter>,
    directories: &Directories,
) -> Besides {
    let is_root = node.parent.is_none();
    let mut rules = filter.map(|filter| filter.within(node));
    let mut is_excluded = |name: &[u8], kind: Option<Kind>| {
        let Some(rules) = &mut rules else { return false };
        let look = || stat_at(directories.descriptor(node)?.as_fd(), name);
        rules.excludes(name, kind.or_else(|| look().ok().map(|stat| stat.kind)))
    };
    let (mut excluded, mut reserved) = (0, 0);
    let extras = present.take_extras(|name, kind| {
        let count = match () {
            () if is_root && RESERVED.contains(&name) => &mut reserved,
            () if is_excluded(name, kind) => &mut excluded,
            () => return true,
        };
        *count += 1;
        false
    });
    Besides { extras, excluded, reserved }
}
