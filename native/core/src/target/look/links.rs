//! Names of one inode: whether they are that here too.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::directory::{Here, LookedDirectory, missing};
use super::session::Looking;
use crate::digest::Digest;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::links::path_hash;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::aspects::Aspects;
use crate::fs::directory_path::entry_path;
use crate::fs::stat::{InodeKey, Kind, Stat, stat_at};
use crate::fs::xattrs;
use crate::session::difference::{Change, Difference};
use crate::session::item::{Item, ItemClass, Side};
use crate::target::links::{Contents, FirstName, Other, leaf_of};
use crate::target::served::Served;

/// A place in a directory.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) directory: Arc<LookedDirectory>,
    pub(super) leaf: u64,
    pub(super) name: Box<[u8]>,
}

impl Place {
    pub(super) fn path(&self) -> Vec<u8> {
        entry_path(&self.directory.data.node, &self.name)
    }

    pub(super) fn path_hash(&self) -> Digest {
        path_hash(&self.directory.data.path_hash, &self.name)
    }
}

/// The name of a linked inode that the source found first, compared.
pub(super) struct FirstLooked {
    pub(super) place: Place,
    /// What bears this name here; None when nothing of its kind does.
    pub(super) inode: Option<InodeKey>,
    pub(super) kind: Kind,
    pub(super) wanted: Attributes,
    pub(super) found: Attributes,
    /// None when it is not what the source has.
    pub(super) contents: Option<Contents>,
    /// In what it differs: so do all its names.
    pub(super) aspects: Aspects,
}

impl FirstName for FirstLooked {
    fn bytes(&self) -> usize {
        let target = if let Some(Contents::Symlink { target }) = &self.contents { target.len() } else { 0 };
        self.wanted.xattrs.bytes() + self.found.xattrs.bytes() + target
    }

    fn path_hash(&self) -> Digest {
        self.place.path_hash()
    }
}

impl FirstLooked {
    fn leaf(&self, name: &[u8]) -> Leaf {
        self.contents.as_ref().map_or(FAILED_LEAF, |contents| leaf_of(name, self.kind, &self.found, contents))
    }
}

impl Looking {
    /// The first name of a link was compared: now those that waited for it are.
    pub(super) fn first_looked(&self, link: u64, first: FirstLooked) -> Result<(), CoreError> {
        if link == 0 {
            return Ok(());
        }
        let first = Arc::new(first);
        for place in self.links.first(link, Some(&first))? {
            self.look_at_name(link, &first, &place)?;
        }
        Ok(())
    }

    /// The first name of a link could not be compared, nor can the others.
    pub(super) fn first_unknown(&self, link: u64) -> Result<(), CoreError> {
        if link == 0 {
            return Ok(());
        }
        self.links.first(link, None)?.iter().try_for_each(|place| self.name_unknown(place))
    }

    /// Another name was announced: it is compared now, later, or never.
    pub(super) fn look_at_other(&self, link: u64, place: Place) -> Result<(), CoreError> {
        match self.links.other(link, place)? {
            Other::Wait => Ok(()),
            Other::Fail(place) => self.name_unknown(&place),
            Other::Link(first, place) => self.look_at_name(link, &first, &place),
        }
    }

    fn name_unknown(&self, place: &Place) -> Result<(), CoreError> {
        let detail = "the name of it that was found first could not be compared";
        self.tell_item(Item::said(Side::Target, ItemClass::Unreadable, place.path(), "hard link", detail));
        self.settle(&place.directory, &[(place.leaf, FAILED_LEAF)])
    }

    fn look_at_name(&self, link: u64, first: &FirstLooked, place: &Place) -> Result<(), CoreError> {
        let leaf = match self.find_name(place) {
            Ok(Some(stat)) if stat.kind == first.kind => {
                self.count_looked(None);
                if first.inode == Some(stat.key()) {
                    self.links.linked(link, place.path_hash());
                    self.tell_name(first, place);
                    first.leaf(&place.name)
                } else {
                    self.tell_unlinked(first, place, &stat)?;
                    FAILED_LEAF
                }
            }
            Ok(found) => {
                if found.is_some_and(|stat| stat.kind == Kind::Directory) {
                    self.tell_replaced(&place.directory.data.node, &place.name)?;
                }
                let difference = missing(first.kind, place.path(), first.place.path());
                self.tell_differences(vec![Difference { aspects: Aspects::LINK, ..difference }]);
                FAILED_LEAF
            }
            Err(errno) => {
                if !matches!(place.directory.data.here, Here::Closed) {
                    self.unreadable(place.path(), "attributes", errno);
                }
                FAILED_LEAF
            }
        };
        self.settle(&place.directory, &[(place.leaf, leaf)])
    }

    /// A further name of an inode that differs.
    fn tell_name(&self, first: &FirstLooked, place: &Place) {
        if first.aspects.is_empty() {
            return;
        }
        let change = if first.contents.is_some() { Change::Attributes } else { Change::Replaced };
        let aspects = first.aspects.with(Aspects::LINK);
        let difference = Difference { change, kind: first.kind, aspects, path: place.path(), to: Vec::new() };
        self.tell_differences(vec![difference]);
    }

    /// A file of its own, where the source has another name of one.
    fn tell_unlinked(&self, first: &FirstLooked, place: &Place, stat: &Stat) -> Result<(), CoreError> {
        let directory = self.directories.descriptor(&place.directory.data.node);
        let reading = directory.and_then(|directory| xattrs::read_at(directory.as_fd(), &place.name, true));
        let aspects = match reading {
            Ok(reading) => self.compare_attributes(stat, reading, &first.wanted, &|| place.path()).0,
            Err(errno) => {
                self.unreadable(place.path(), "attributes", errno);
                Aspects::NONE
            }
        };
        let (path, to) = (place.path(), first.place.path());
        let aspects = aspects.with(Aspects::LINK);
        self.tell_differences(vec![Difference { change: Change::Attributes, kind: first.kind, aspects, path, to }]);
        Ok(())
    }

    /// What bears a name here; None when nothing does.
    pub(super) fn find_name(&self, place: &Place) -> Result<Option<Stat>, Errno> {
        match &place.directory.data.here {
            Here::Missing => return Ok(None),
            Here::Closed => return Err(Errno::ACCESS),
            Here::Listed(_) => {}
        }
        let directory = self.directories.descriptor(&place.directory.data.node)?;
        match stat_at(directory.as_fd(), &place.name) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}
