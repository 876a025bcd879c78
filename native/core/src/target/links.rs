//! Names of the same inode on the target. The names wait until the first of them is made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::TargetDirectory;
use crate::digest::Digest;
use crate::digest::file::Form;
use crate::digest::leaf::{Leaf, Payload, leaf};
use crate::digest::links::{group_digest, links_digest, path_hash};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::stat::Kind;
use crate::scan::walk::entry_path;
use crate::wire::limits::{MAX_LINK_BYTES, MAX_LINK_NAMES, MAX_WAITING_LINKS};

/// A place in a directory.
#[derive(Clone, Debug)]
pub(super) struct NamePlace {
    pub(super) directory: Arc<TargetDirectory>,
    pub(super) leaf: u64,
    pub(super) name: Box<[u8]>,
    /// Something bears the name already.
    pub(super) replaces: bool,
}

impl NamePlace {
    pub(super) fn path(&self) -> Vec<u8> {
        entry_path(&self.directory.data.node, Some(&self.name))
    }

    pub(super) fn path_hash(&self) -> Digest {
        path_hash(&self.directory.data.path_hash, &self.name)
    }
}

/// What a linked entry holds.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    File { form: Form, digest: Digest },
    Symlink { target: Box<[u8]> },
    Node { major: u32, minor: u32 },
}

/// The first name of a linked inode, made.
#[derive(Clone, Debug)]
pub(super) struct First {
    pub(super) place: NamePlace,
    pub(super) kind: Kind,
    pub(super) attributes: Attributes,
    pub(super) contents: Contents,
}

impl First {
    /// The leaf of another name of it.
    pub(super) fn leaf(&self, name: &[u8]) -> Leaf {
        leaf_of(name, self.kind, &self.attributes, &self.contents)
    }
}

/// The leaf of an entry with these contents.
pub(super) fn leaf_of(name: &[u8], kind: Kind, attributes: &Attributes, contents: &Contents) -> Leaf {
    let payload = match contents {
        Contents::File { form, digest } => Payload::File { form: *form, digest: *digest },
        Contents::Symlink { target } => Payload::Symlink { target },
        Contents::Node { major, minor } if matches!(kind, Kind::CharDevice | Kind::BlockDevice) => {
            Payload::Device { major: *major, minor: *minor }
        }
        Contents::Node { .. } => Payload::Empty,
    };
    leaf(name, kind, attributes, &payload)
}

/// What is remembered of the first name of a link.
pub(super) trait FirstName {
    /// What it holds beside what every entry does, bytes.
    fn bytes(&self) -> usize;

    fn path_hash(&self) -> Digest;
}

impl FirstName for First {
    fn bytes(&self) -> usize {
        let target = if let Contents::Symlink { target } = &self.contents { target.len() } else { 0 };
        self.attributes.xattrs.bytes() + target
    }

    fn path_hash(&self) -> Digest {
        self.place.path_hash()
    }
}

enum Group<P, F> {
    Waiting(Vec<P>),
    Made(Arc<F>, Vec<Digest>),
    Failed,
}

struct Groups<P, F> {
    map: HashMap<u64, Group<P, F>>,
    waiting: usize,
    /// Names announced so far, of all groups.
    names: usize,
    /// What first names hold beside what every entry does, bytes.
    bytes: usize,
}

impl<P, F> Groups<P, F> {
    /// One more name. Groups are kept until the end, so that what a hostile source announces has to be bounded.
    fn count(&mut self, bytes: usize) -> Result<(), CoreError> {
        self.names += 1;
        self.bytes += bytes;
        if self.names > MAX_LINK_NAMES || self.bytes > MAX_LINK_BYTES {
            return Err(CoreError::protocol(
                "The peer broke the protocol: too many names, or attributes, of hard links.",
            ));
        }
        Ok(())
    }
}

/// `P` is the place of a name that waits, `F` what is remembered of the first one.
pub(super) struct Links<P = NamePlace, F = First>(Mutex<Groups<P, F>>);

impl<P, F> Default for Links<P, F> {
    fn default() -> Self {
        Self(Mutex::new(Groups { map: HashMap::new(), waiting: 0, names: 0, bytes: 0 }))
    }
}

/// What another name is to do.
pub(super) enum Other<P = NamePlace, F = First> {
    Link(Arc<F>, P),
    Wait,
    Fail(P),
}

impl<P, F: FirstName> Links<P, F> {
    fn lock(&self) -> MutexGuard<'_, Groups<P, F>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first name is made (or, None, will never be): the names that waited for it.
    pub(super) fn first(&self, link: u64, first: Option<&Arc<F>>) -> Result<Vec<P>, CoreError> {
        let mut groups = self.lock();
        groups.count(first.map_or(0, |first| first.bytes()))?;
        let group = first.map_or(Group::Failed, |first| Group::Made(Arc::clone(first), vec![first.path_hash()]));
        match groups.map.insert(link, group) {
            None => Ok(Vec::new()),
            Some(Group::Waiting(waiting)) => {
                groups.waiting -= waiting.len();
                Ok(waiting)
            }
            Some(Group::Made(..) | Group::Failed) => {
                Err(CoreError::protocol("The peer broke the protocol: a hard link has two first names."))
            }
        }
    }

    /// Another name of a link.
    pub(super) fn other(&self, link: u64, place: P) -> Result<Other<P, F>, CoreError> {
        let mut groups = self.lock();
        groups.count(0)?;
        match groups.map.entry(link).or_insert_with(|| Group::Waiting(Vec::new())) {
            Group::Made(first, _) => return Ok(Other::Link(Arc::clone(first), place)),
            Group::Failed => return Ok(Other::Fail(place)),
            Group::Waiting(waiting) => waiting.push(place),
        }
        groups.waiting += 1;
        if groups.waiting > MAX_WAITING_LINKS {
            return Err(CoreError::protocol("The peer broke the protocol: too many hard links wait."));
        }
        Ok(Other::Wait)
    }

    /// A name was linked.
    pub(super) fn linked(&self, link: u64, path_hash: Digest) {
        if let Some(Group::Made(_, names)) = self.lock().map.get_mut(&link) {
            names.push(path_hash);
        }
    }

    pub(super) fn digest(&self) -> Digest {
        let groups = self.lock();
        let digests = groups.map.values().filter_map(|group| match group {
            Group::Made(_, names) => group_digest(names),
            Group::Waiting(_) | Group::Failed => None,
        });
        links_digest(digests.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_links_are_bounded() -> Result<(), CoreError> {
        let links = Links::<NamePlace, First>::default();
        links.lock().names = MAX_LINK_NAMES - 1;
        links.first(1, None)?;
        let refusal = links.first(2, None).err().map(|error| error.message).unwrap_or_default();
        assert!(refusal.contains("names, or attributes, of hard links"), "{refusal}");
        Ok(())
    }
}
