//! Making what the index announces: directories, symlinks, FIFOs, sockets, devices, and further names of them all.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::directory::{DirectoryData, TargetDirectory};
use super::links::{Contents, First, NamePlace, Other};
use super::order::Order;
use super::present::Present;
use super::session::Shared;
use super::volume::is_fatal;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::links::path_hash;
use crate::digest::tree::TreeDirectory;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::{Attributes, Lost};
use crate::fs::directory_path::DirectoryNode;
use crate::fs::fresh::{Fresh, FreshRule};
use crate::fs::make;
use crate::fs::stat::{Kind, Stat, stat_at};
use crate::fs::xattrs;
use crate::scan::attributes::of_stat;
use crate::session::counters::Counter;
use crate::session::item::{Item, ItemClass, Side};
use crate::wire::index::Directory;

impl Shared {
    /// Makes a directory, 0700 until it is complete. False in the second place when it could not be made.
    pub(super) fn make_directory(
        &self,
        parent: &Arc<TargetDirectory>,
        message: &Directory<'_>,
    ) -> Result<(Arc<TargetDirectory>, bool), CoreError> {
        let above = &parent.data;
        let node = DirectoryNode::child(&above.node, message.name);
        let made = if above.failed { Err(Errno::NOENT) } else { self.make_or_adopt(above, &node, message.leaf) };
        if let Err(errno) = &made
            && !above.failed
        {
            self.extras.distrust(above, *errno);
            self.not_written(crate::scan::walk::entry_path(&node, None), "directory", *errno)?;
        }
        let failed = made.is_err();
        let (rule, present) = match made {
            Ok(Some((rule, present))) => (rule, Some(present)),
            _ => (above.rule.below(), None),
        };
        let data = DirectoryData {
            id: message.id,
            wanted: message.attributes.clone(),
            fresh: above.rule.directory(),
            rule,
            path_hash: path_hash(&above.path_hash, message.name),
            order: Order::default(),
            present,
            failed,
            node,
        };
        Ok((TreeDirectory::new(Some((Arc::clone(parent), message.leaf)), data), !failed))
    }

    /// Makes a directory, or takes the one that is there: then Some, with what it holds and what is made in it looks like.
    fn make_or_adopt(
        &self,
        parent: &DirectoryData,
        node: &Arc<DirectoryNode>,
        leaf: u64,
    ) -> Result<Option<(FreshRule, Present)>, Errno> {
        match self.make_at(parent, node) {
            Err(Errno::EXIST) if parent.present.as_ref().is_some_and(|present| present.had(leaf)) => {}
            made => return made.map(|()| None),
        }
        let above = self.volume.directories.descriptor(&parent.node)?;
        let stat = stat_at(above.as_fd(), &node.name)?;
        if stat.kind != Kind::Directory {
            self.give_way(&parent.node, above.as_fd(), &node.name)?;
            return self.make_at(parent, node).map(|()| None);
        }
        self.adopt(above.as_fd(), node, &stat).map(Some)
    }

    fn adopt(
        &self,
        above: BorrowedFd<'_>,
        node: &Arc<DirectoryNode>,
        stat: &Stat,
    ) -> Result<(FreshRule, Present), Errno> {
        // Whoever owns it may have it opened; its own mode comes back when it is complete.
        if stat.mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root() {
            self.volume.applier.open_up(above, &node.name, stat.mode | 0o700)?;
        }
        let opened = self.volume.opener.directory(above, &node.name)?;
        let rule = FreshRule::of(opened.as_fd(), &self.volume.creation)?;
        let present = Present::read(opened.as_fd())?;
        self.volume.directories.adopt(node, opened)?;
        Ok((rule, present))
    }

    fn make_at(&self, parent: &DirectoryData, node: &Arc<DirectoryNode>) -> Result<(), Errno> {
        let above = self.volume.directories.descriptor(&parent.node)?;
        let made = self.volume.opener.make_directory(above.as_fd(), &node.name)?;
        self.volume.directories.adopt(node, made).map(drop)
    }

    /// Makes a symlink, FIFO, socket or device; the leaf of what is there now, or None when it could not be made.
    pub(super) fn make_entry(&self, first: &First, link: u64) -> Result<Option<Leaf>, CoreError> {
        let place = &first.place;
        if place.directory.data.failed {
            return self.first_failed(link).map(|()| None);
        }
        let attributes = match self.volume.directories.descriptor(&place.directory.data.node) {
            Ok(directory) if place.replaces => self.replace_entry(&directory, first, link)?,
            Ok(directory) => match self.make_contents(directory.as_fd(), &place.name, first) {
                Ok(()) => Ok(self.apply_entry(&directory, first)?),
                Err(errno) => Err(errno),
            },
            Err(errno) => Err(errno),
        };
        let attributes = match attributes {
            Ok(attributes) => attributes,
            Err(errno) => {
                self.extras.distrust(&place.directory.data, errno);
                self.not_written(place.path(), kind_label(first.kind), errno)?;
                return self.first_failed(link).map(|()| None);
            }
        };
        let first = First { attributes, ..first.clone() };
        let leaf = first.leaf(&first.place.name);
        self.count_made(Some(first.kind));
        if link != 0 {
            self.first_made(link, &Arc::new(first))?;
        }
        Ok(Some(leaf))
    }

    /// Something bears the name: it stays when it is the same, and is replaced at once when it is not.
    fn replace_entry(
        &self,
        directory: &Arc<OwnedFd>,
        first: &First,
        link: u64,
    ) -> Result<Result<Attributes, Errno>, CoreError> {
        if let Some(attributes) = self.keep_entry(directory, first, link)? {
            return Ok(Ok(attributes));
        }
        let part = self.claims.part_name();
        let parts = self.volume.parts();
        if let Err(errno) = self.make_contents(parts, part.as_bytes(), first) {
            return Ok(Err(errno));
        }
        let lost = self.apply_made((parts, part.as_bytes()), first, &self.volume.parts_rule);
        let place = (&first.place.directory.data.node, directory.as_fd());
        if let Err(errno) = self.put_in_place(part.as_bytes(), place, &first.place.name, true) {
            let _ = make::unlink(parts, part.as_bytes());
            return Ok(Err(errno));
        }
        self.accept(directory, &first.place.name, &first.attributes, lost, &|| first.place.path()).map(Ok)
    }

    fn make_contents(&self, directory: BorrowedFd<'_>, name: &[u8], first: &First) -> Result<(), Errno> {
        match &first.contents {
            Contents::Symlink { target } => make::symlink(directory, name, target),
            Contents::Node { major, minor } => {
                make::node(directory, name, first.kind, first.attributes.mode, (*major, *minor))
            }
            Contents::File { .. } => Err(Errno::INVAL),
        }
    }

    /// Gives a made entry its attributes; what it has then.
    fn apply_entry(&self, directory: &OwnedFd, first: &First) -> Result<Attributes, CoreError> {
        let place = &first.place;
        let lost = self.apply_made((directory.as_fd(), &place.name), first, &place.directory.data.rule);
        self.accept(directory, &place.name, &first.attributes, lost, &|| place.path())
    }

    /// `rule` is that of the directory in which it was made.
    fn apply_made(&self, (directory, name): (BorrowedFd<'_>, &[u8]), first: &First, rule: &FreshRule) -> Vec<Lost> {
        let wanted = &first.attributes;
        let fresh: Fresh = if first.kind == Kind::Symlink { rule.symlink() } else { rule.file(wanted.mode) };
        self.volume.applier.apply_at(directory, name, first.kind, wanted, &fresh)
    }

    /// What an entry has: what was wanted, unless something was lost, which is reported.
    pub(super) fn accept(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        wanted: &Attributes,
        lost: Vec<Lost>,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Result<Attributes, CoreError> {
        if lost.is_empty() {
            return Ok(wanted.clone());
        }
        self.report_lost(&path(), lost)?;
        let now = stat_at(directory.as_fd(), name)
            .and_then(|stat| Ok(of_stat(&stat, xattrs::read_at(directory.as_fd(), name, true)?.xattrs)));
        Ok(now.unwrap_or_default())
    }

    /// The first name of a link is there: the names that waited for it are made.
    pub(super) fn first_made(&self, link: u64, first: &Arc<First>) -> Result<(), CoreError> {
        for place in self.links.first(link, Some(first))? {
            let leaf = self.make_link(link, first, &place)?;
            self.settle(&place.directory, &[(place.leaf, leaf.unwrap_or(FAILED_LEAF))])?;
        }
        Ok(())
    }

    /// The first name of a link will never be there, nor the names that waited for it.
    pub(super) fn first_failed(&self, link: u64) -> Result<(), CoreError> {
        if link == 0 {
            return Ok(());
        }
        for place in self.links.first(link, None)? {
            self.unlinked(&place)?;
        }
        Ok(())
    }

    fn unlinked(&self, place: &NamePlace) -> Result<(), CoreError> {
        let detail = "the name that was to be copied first could not be";
        self.report(Item::said(Side::Target, ItemClass::NotWritten, place.path(), "hard link", detail));
        self.settle(&place.directory, &[(place.leaf, FAILED_LEAF)])
    }

    /// Another name was announced: it is linked now, later, or never.
    pub(super) fn make_other(&self, link: u64, place: NamePlace) -> Result<(), CoreError> {
        match self.links.other(link, place)? {
            Other::Wait => Ok(()),
            Other::Fail(place) => self.unlinked(&place),
            Other::Link(first, place) => {
                let leaf = self.make_link(link, &first, &place)?;
                self.settle(&place.directory, &[(place.leaf, leaf.unwrap_or(FAILED_LEAF))])
            }
        }
    }

    fn make_link(&self, link: u64, first: &First, place: &NamePlace) -> Result<Option<Leaf>, CoreError> {
        if place.directory.data.failed {
            return Ok(None);
        }
        let old = self.volume.directories.descriptor(&first.place.directory.data.node);
        let new = self.volume.directories.descriptor(&place.directory.data.node);
        let (old, new) = match (old, new) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(errno), _) | (_, Err(errno)) => {
                self.not_written(place.path(), "hard link", errno)?;
                return Ok(None);
            }
        };
        if self.is_linked((&old, &first.place.name), (&new, place)) {
            self.links.linked(link, place.path_hash());
            self.count_made(None);
            return Ok(Some(first.leaf(&place.name)));
        }
        match self.link_name((&old, &first.place.name), (&new, place)) {
            Ok(()) => {
                self.links.linked(link, place.path_hash());
                self.count_made(None);
                Ok(Some(first.leaf(&place.name)))
            }
            Err(errno) if is_fatal(errno) => Err(self.volume.fatal(errno, &place.path())),
            Err(errno @ Errno::EXIST) => {
                self.extras.distrust(&place.directory.data, errno);
                self.not_written(place.path(), "hard link", errno)?;
                Ok(None)
            }
            Err(errno) => self.copy_instead(first, place, (&old, &new), errno),
        }
    }

    fn link_name(&self, old: (&OwnedFd, &[u8]), (new, place): (&OwnedFd, &NamePlace)) -> Result<(), Errno> {
        if !place.replaces {
            return make::hard_link(old.0.as_fd(), old.1, new.as_fd(), &place.name);
        }
        let part = self.claims.part_name();
        make::hard_link(old.0.as_fd(), old.1, self.volume.parts(), part.as_bytes())?;
        self.put_in_place(part.as_bytes(), (&place.directory.data.node, new.as_fd()), &place.name, true).inspect_err(
            |_| {
                let _ = make::unlink(self.volume.parts(), part.as_bytes());
            },
        )
    }

    /// `kind` is None for a hard link.
    pub(super) fn count_made(&self, kind: Option<Kind>) {
        match kind {
            Some(kind) => self.ledger.count_entry(kind),
            None => self.ledger.count_hard_link(),
        }
        self.counters.add(Counter::EntriesDone, 1);
    }
}

fn kind_label(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "FIFO",
        Kind::Socket => "socket",
        Kind::CharDevice => "character device",
        Kind::BlockDevice => "block device",
    }
}
