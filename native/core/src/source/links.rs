//! Names of the same inode. The first name found carries the data; the others are announced as links to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::SourceDirectory;
use crate::digest::Digest;
use crate::digest::file::{Form, sent_digest};
use crate::digest::leaf::{FAILED_LEAF, Leaf, Payload, leaf};
use crate::digest::links::{group_digest, links_digest, path_hash};
use crate::fs::apply::Attributes;
use crate::fs::stat::{InodeKey, Kind};

/// A name that waits for the file's digest.
pub(super) struct WaitingName {
    pub(super) directory: Arc<SourceDirectory>,
    pub(super) leaf: u64,
    pub(super) name: Box<[u8]>,
}

impl WaitingName {
    fn path_hash(&self) -> Digest {
        path_hash(&self.directory.data.path_hash, &self.name)
    }
}

/// What the other names need to know of a file.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) attributes: Attributes,
    pub(super) form: Form,
    pub(super) digest: Digest,
}

impl Known {
    /// Of a file that was sent with this digest.
    pub(super) fn sent(form: Form, digest: Digest, size: u64, attributes: Attributes) -> Self {
        let digest = sent_digest(form, digest, size, attributes.mtime);
        Self { attributes, form, digest }
    }

    pub(super) fn leaf(&self, name: &[u8]) -> Leaf {
        let payload = Payload::File { form: self.form, digest: self.digest };
        leaf(name, Kind::File, &self.attributes, &payload)
    }
}

enum State {
    Waiting(Vec<WaitingName>),
    Known(Box<Known>),
    Failed,
}

struct Group {
    id: u64,
    /// Names that were not found yet, as the inode's link count says.
    missing: u32,
    /// Names that were found and are not settled.
    unsettled: usize,
    state: State,
    names: Vec<Digest>,
}

#[derive(Default)]
struct Groups {
    open: HashMap<InodeKey, Group>,
    last: u64,
    finished: Vec<Digest>,
}

impl Groups {
    /// Shrinks a group to its digest once all its names are found and settled.
    fn retire(&mut self, key: InodeKey) {
        let done = |group: &Group| group.missing == 0 && group.unsettled == 0;
        if self.open.get(&key).is_some_and(done)
            && let Some(group) = self.open.remove(&key)
        {
            self.finished.extend(group_digest(&group.names));
        }
    }
}

#[derive(Default)]
pub(super) struct Links(Mutex<Groups>);

/// What a name of a linked inode is to be announced as.
pub(super) enum Name {
    First(u64),
    Other(u64),
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a name.
    pub(super) fn meet(&self, key: InodeKey, links: u32) -> Name {
        let mut groups = self.lock();
        let groups = &mut *groups;
        if let Some(group) = groups.open.get_mut(&key) {
            group.missing = group.missing.saturating_sub(1);
            group.unsettled += 1;
            return Name::Other(group.id);
        }
        groups.last += 1;
        let state = State::Waiting(Vec::new());
        let missing = links.saturating_sub(1);
        groups.open.insert(key, Group { id: groups.last, missing, unsettled: 1, state, names: Vec::new() });
        Name::First(groups.last)
    }

    /// A file's first name is settled, well or (None) badly: the leaves of the names that waited for it.
    pub(super) fn resolve(&self, key: InodeKey, first: &WaitingName, known: Option<Known>) -> Vec<(WaitingName, Leaf)> {
        let mut groups = self.lock();
        let Some(group) = groups.open.get_mut(&key) else { return Vec::new() };
        let State::Waiting(waiting) = std::mem::replace(&mut group.state, State::Failed) else { return Vec::new() };
        group.unsettled = group.unsettled.saturating_sub(1 + waiting.len());
        if known.is_some() {
            group.names.push(first.path_hash());
            group.names.extend(waiting.iter().map(WaitingName::path_hash));
        }
        let leaf_of = |name: &[u8]| known.as_ref().map_or(FAILED_LEAF, |known| known.leaf(name));
        let settled = waiting.into_iter().map(|name| (leaf_of(&name.name), name)).map(|(leaf, name)| (name, leaf));
        let settled = settled.collect();
        if let Some(known) = known {
            group.state = State::Known(Box::new(known));
        }
        groups.retire(key);
        settled
    }

    /// Another name of a file is acknowledged: its leaf, or None when it has to wait for the first.
    pub(super) fn settle_other(&self, key: InodeKey, name: WaitingName) -> Option<(WaitingName, Leaf)> {
        let mut groups = self.lock();
        let Some(group) = groups.open.get_mut(&key) else { return Some((name, FAILED_LEAF)) };
        let leaf = match &mut group.state {
            State::Waiting(waiting) => {
                waiting.push(name);
                return None;
            }
            State::Known(known) => {
                group.names.push(name.path_hash());
                known.leaf(&name.name)
            }
            State::Failed => FAILED_LEAF,
        };
        group.unsettled = group.unsettled.saturating_sub(1);
        groups.retire(key);
        Some((name, leaf))
    }

    /// A name is acknowledged as made (Some), for inodes that are no files; or as not made (None), for all.
    pub(super) fn settle_made(&self, key: InodeKey, path_hash: Option<Digest>) {
        let mut groups = self.lock();
        if let Some(group) = groups.open.get_mut(&key) {
            group.names.extend(path_hash);
            group.unsettled = group.unsettled.saturating_sub(1);
        }
        groups.retire(key);
    }

    /// The digest over all groups of two names or more; the session is settled.
    pub(super) fn digest(&self) -> Digest {
        let groups = self.lock();
        let open = groups.open.values().filter_map(|group| group_digest(&group.names));
        let all: Vec<Digest> = groups.finished.iter().copied().chain(open).collect();
        links_digest(all)
    }
}
