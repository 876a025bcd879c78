//! The target's end of the index: one thread makes what is announced. served.rs acknowledges it, several frames together.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::besides::{Besides, besides};
use super::compare::Decision;
use super::directory::{DirectoryData, TargetDirectory};
use super::existing::{Existing, check_empty_source};
use super::files::Announced;
use super::links::{Contents, First, NamePlace};
use super::order::Order;
use super::present::Present;
use super::room::Need;
use super::served::Exceptions;
use super::session::Shared;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::tree::{TreeDirectory, expect};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::fresh::Fresh;
use crate::fs::stat::{Kind, stat_fd};
use crate::scan::filter::Within;
use crate::scan::volume::RESERVED;
use crate::wire::channel::malformed;
use crate::wire::cursor::Malformed;
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Body, Directory, DirectoryEnd, DirectoryMark, Entry, Outcome, read_entries};
use crate::wire::limits::MAX_DEPTH;

impl Shared {
    pub(super) fn take_announcement(&self, header: Header, payload: &[u8]) -> Result<Exceptions, CoreError> {
        self.room.frame();
        match header.frame_type {
            FrameType::Directory => self.announce_directory(&Directory::read(payload).map_err(malformed)?),
            FrameType::Entries => self.announce_entries(payload),
            FrameType::DirectoryEnd => {
                let end = DirectoryEnd::read(payload).map_err(malformed)?;
                let directory = self.directories.get(end.directory)?;
                directory.data.order.end(end.entries).map_err(malformed)?;
                self.note_extras(&directory, &end)?;
                self.room.list();
                let root = expect(&directory, end.entries, self)?;
                self.volume_complete(root)?;
                Ok(Vec::new())
            }
            FrameType::DirectoryFailed => {
                let mark = DirectoryMark::read(payload).map_err(malformed)?;
                let directory = self.directories.get(mark.directory)?;
                directory.data.order.has(mark.count).map_err(malformed)?;
                self.room.list();
                self.settle(&directory, &[(mark.count, FAILED_LEAF)])?;
                Ok(Vec::new())
            }
            _ => Err(CoreError::protocol("The peer broke the protocol: the index brings data.")),
        }
    }

    /// What a directory holds besides is extra, if the source has named all that it has there.
    fn note_extras(&self, directory: &Arc<TargetDirectory>, end: &DirectoryEnd) -> Result<(), CoreError> {
        let data = &directory.data;
        let Some(present) = &data.present else { return Ok(()) };
        let listed = present.len() as u64;
        let filter = self.config.filter.as_deref();
        let Besides { extras, excluded, reserved } = besides(&data.node, present, filter, &self.volume.directories);
        let config = &self.config;
        if directory.parent().is_none() && end.complete {
            let (had, allowed) = (extras.len() as u64, config.allow_empty_source);
            check_empty_source(&config.volume, config.existing, allowed, end.entries, had)?;
        }
        self.ledger.count_excluded(excluded);
        if config.existing != Existing::Mirror {
            return Ok(());
        }
        self.extras.listed(listed.saturating_sub(excluded + reserved));
        if end.complete && !extras.is_empty() {
            self.extras.add(&data.node, extras.iter().map(|name| &**name))?;
        }
        Ok(())
    }

    fn announce_directory(&self, message: &Directory<'_>) -> Result<Exceptions, CoreError> {
        self.make_room_at_once(Need { bytes: 0, inodes: 1 })?;
        let (directory, made) = if message.id == 0 {
            self.room.announce(1);
            (self.root_directory(message)?, true)
        } else {
            let parent = self.directories.get(message.parent)?;
            if parent.data.node.depth >= MAX_DEPTH {
                return Err(CoreError::protocol("The peer broke the protocol: directories nest too deeply."));
            }
            parent.data.order.has(message.leaf).map_err(malformed)?;
            self.make_directory(&parent, message)?
        };
        if made {
            self.count_made(Some(Kind::Directory));
        }
        self.directories.insert(directory).map_err(malformed)?;
        Ok(if made { Vec::new() } else { vec![(0, Outcome::Failed)] })
    }

    fn root_directory(&self, message: &Directory<'_>) -> Result<Arc<TargetDirectory>, CoreError> {
        let root = self.volume.directories.root();
        let stat = stat_fd(root.as_fd())?;
        let present = self.config.compare.is_some().then(|| Present::read(root.as_fd())).transpose()?;
        let data = DirectoryData {
            id: 0,
            node: Arc::clone(&self.volume.root),
            wanted: message.attributes.clone(),
            fresh: Fresh::of(&stat),
            rule: self.volume.root_rule,
            path_hash: [0; 32],
            order: Order::default(),
            present,
            failed: false,
        };
        Ok(TreeDirectory::new(None, data))
    }

    fn announce_entries(&self, payload: &[u8]) -> Result<Exceptions, CoreError> {
        let (head, entries) = read_entries(payload).map_err(malformed)?;
        let directory = self.directories.get(head.directory)?;
        check_entries(&directory.data.order, directory.parent().is_none(), head.first_leaf, &entries)
            .map_err(malformed)?;
        let mut rules = self.config.filter.as_ref().map(|filter| filter.within(&directory.data.node));
        self.room.announce(entries.iter().filter(|entry| matches!(entry.body, Body::Directory)).count() as u64);
        self.make_room_at_once(Need { bytes: payload.len() as u64, inodes: entries.len() as u64 })?;
        let mut exceptions = Exceptions::new();
        let mut leaves: Vec<(u64, Leaf)> = Vec::new();
        let mut files = Vec::new();
        let mut others = Vec::new();
        for (position, (leaf, entry)) in (0_u32..).zip((head.first_leaf..).zip(entries)) {
            let replaces = directory.data.present.as_ref().is_some_and(|present| present.meet(entry.name));
            if replaces && rules.as_mut().is_some_and(|rules| excludes(rules, &entry)) {
                return Err(malformed(Malformed("what its rules exclude is announced")));
            }
            let place = NamePlace { directory: Arc::clone(&directory), leaf, name: entry.name.into(), replaces };
            match entry.body {
                Body::File { size, link, attributes } => {
                    let NamePlace { directory, leaf, name, replaces } = place;
                    let file =
                        Announced { directory, name, leaf, size, link, replaces, base: 0, left: None, to_check: false };
                    let decision = self.decide(&file, attributes.as_ref())?;
                    if let Decision::Same(kept) = decision {
                        leaves.push((leaf, kept));
                    }
                    let (file, outcome) = self.to_come(file, &decision);
                    exceptions.extend(outcome.map(|outcome| (position, outcome)));
                    files.push(file);
                }
                Body::Directory => {
                    if let Some(present) = directory.data.present.as_ref().filter(|_| !replaces) {
                        present.note_missing(leaf);
                    }
                }
                Body::Failed => leaves.push((leaf, FAILED_LEAF)),
                Body::Link { link } => others.push((link, place)),
                Body::Symlink { .. } | Body::Special { .. } => {
                    let made = self.make_announced(entry.body, place)?;
                    if made.is_none() {
                        exceptions.push((position, Outcome::Failed));
                    }
                    leaves.push((leaf, made.unwrap_or(FAILED_LEAF)));
                }
            }
        }
        self.files.announce(head.first_file, files)?;
        self.settle(&directory, &leaves)?;
        for (link, place) in others {
            self.make_other(link, place)?;
        }
        Ok(exceptions)
    }

    /// A file that a lane will bring, or ask about, and what the source is told of it.
    fn to_come(&self, file: Announced, decision: &Decision) -> (Option<Announced>, Option<Outcome>) {
        match decision {
            Decision::Send(base) => {
                let file = self.unfinished.join(Announced { base: *base, ..file });
                let outcome = (file.base > 0).then_some(Outcome::Base(file.base));
                (Some(file), outcome)
            }
            Decision::Check => (Some(Announced { to_check: true, ..file }), Some(Outcome::Check)),
            Decision::Same(_) => (None, Some(Outcome::Same)),
        }
    }

    /// What becomes of an announced file. Its attributes are there when this session compares, and only then.
    fn decide(&self, file: &Announced, attributes: Option<&Attributes>) -> Result<Decision, CoreError> {
        match (&self.config.compare, attributes) {
            (None, None) => Ok(Decision::Send(0)),
            (Some(comparison), Some(wanted)) if file.replaces => self.compare_file(file, wanted, comparison),
            (Some(_), Some(_)) => Ok(Decision::Send(0)),
            _ => Err(malformed(Malformed("a file is announced for another kind of session"))),
        }
    }

    fn make_announced(&self, body: Body<'_>, place: NamePlace) -> Result<Option<Leaf>, CoreError> {
        match body {
            Body::Symlink { target, attributes, link } => {
                let contents = Contents::Symlink { target: target.into() };
                self.make_entry(&First { place, kind: Kind::Symlink, attributes, contents }, link)
            }
            Body::Special { kind, major, minor, attributes, link } => {
                let contents = Contents::Node { major, minor };
                self.make_entry(&First { place, kind, attributes, contents }, link)
            }
            _ => Ok(None),
        }
    }
}

/// Whether the source announces what it said to leave alone.
fn excludes(rules: &mut Within<'_>, entry: &Entry<'_>) -> bool {
    match entry.body {
        Body::Failed => false,
        Body::Directory => rules.excludes(entry.name, Some(Kind::Directory)),
        Body::File { .. } | Body::Symlink { .. } | Body::Special { .. } | Body::Link { .. } => {
            rules.excludes(entry.name, Some(Kind::File))
        }
    }
}

/// Entries come in order, and nothing comes under the names that are ours or the file system's.
pub(super) fn check_entries(order: &Order, is_root: bool, first: u64, entries: &[Entry<'_>]) -> Result<(), Malformed> {
    if is_root && entries.iter().any(|entry| RESERVED.contains(&entry.name)) {
        return Err(Malformed("an entry bears a reserved name"));
    }
    order.follow(first, entries.iter().map(|entry| entry.name))
}
