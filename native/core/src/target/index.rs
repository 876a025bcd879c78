//! The target's end of the index: one thread makes what is announced and acknowledges frame by frame.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::acknowledgements::Acknowledgements;
use super::compare::Decision;
use super::directory::{DirectoryData, TargetDirectory};
use super::existing::{Existing, check_empty_source};
use super::files::Announced;
use super::links::{Contents, First, NamePlace};
use super::order::Order;
use super::present::Present;
use super::session::Shared;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::tree::{TreeDirectory, expect};
use crate::error::{CoreError, ErrorKind};
use crate::fs::apply::Attributes;
use crate::fs::fresh::Fresh;
use crate::fs::stat::{Kind, stat_at, stat_fd};
use crate::scan::filter::Within;
use crate::scan::volume::RESERVED;
use crate::session::events::Event;
use crate::session::item::Side;
use crate::session::life::Living;
use crate::wire::channel::{Channel, malformed};
use crate::wire::cursor::Malformed;
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Body, Directory, DirectoryEnd, DirectoryMark, Entry, Outcome, read_entries};
use crate::wire::items::read_items;
use crate::wire::limits::{MAX_DEPTH, MAX_OPEN_DIRECTORIES, MAX_OPEN_XATTR_BYTES};

/// Directories that are not complete, by id.
#[derive(Default)]
pub(super) struct OpenDirectories(Mutex<Open>);

#[derive(Default)]
struct Open {
    map: HashMap<u64, Arc<TargetDirectory>>,
    xattr_bytes: usize,
    root_came: bool,
}

impl OpenDirectories {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: u64) -> Result<Arc<TargetDirectory>, CoreError> {
        let unknown = || malformed(Malformed("entries of an unknown directory"));
        self.lock().map.get(&id).map(Arc::clone).ok_or_else(unknown)
    }

    fn insert(&self, directory: Arc<TargetDirectory>) -> Result<(), Malformed> {
        let mut open = self.lock();
        let id = directory.data.id;
        open.xattr_bytes += directory.data.wanted.xattrs.bytes();
        let root_again = id == 0 && std::mem::replace(&mut open.root_came, true);
        if open.map.insert(id, directory).is_some() || root_again {
            return Err(Malformed("a directory is announced twice"));
        }
        if open.map.len() > MAX_OPEN_DIRECTORIES || open.xattr_bytes > MAX_OPEN_XATTR_BYTES {
            return Err(Malformed("too many directories are unfinished"));
        }
        Ok(())
    }

    pub(super) fn remove(&self, data: &DirectoryData) {
        let mut open = self.lock();
        if open.map.remove(&data.id).is_some() {
            open.xattr_bytes = open.xattr_bytes.saturating_sub(data.wanted.xattrs.bytes());
        }
    }
}

type Exceptions = Vec<(u32, Outcome)>;

/// What a directory holds that the source has not announced.
struct Besides {
    extras: Vec<Box<[u8]>>,
    /// How many more the rules exclude, and how many are pvferry's own or the file system's.
    excluded: u64,
    reserved: u64,
}

impl Shared {
    /// Serves the index until it ends; the session ends with it unless it has settled. One that ends before it has
    /// begun means nothing: the source dials another, or says on control that it gives up.
    pub(super) fn serve_index(&self, channel: &Channel) -> Result<(), CoreError> {
        let mut payload = Vec::new();
        let first = match channel.receive(&mut payload) {
            Err(error) if error.kind != ErrorKind::Network => return Err(error),
            Ok(Some(header)) if self.index.begin(channel) => header,
            _ => return Ok(()),
        };
        let mut next = Some(first);
        let mut acknowledgements = Acknowledgements::new(channel);
        while let Some(header) = next {
            match header.frame_type {
                FrameType::Items => {
                    let items = read_items(&payload, Side::Source).map_err(malformed)?;
                    self.life.events.send(Event::Items(items));
                }
                FrameType::Settled => self.settle_there()?,
                _ if self.life.peer_has_settled() => {
                    return Err(malformed(Malformed("something is announced after the end")));
                }
                _ => {
                    let exceptions = self.index_frame(header, &payload)?;
                    acknowledgements.add(exceptions)?;
                }
            }
            next = channel.receive_or(&mut payload, || acknowledgements.tell())?;
        }
        if self.life.is_over() {
            return Ok(());
        }
        Err(CoreError::network("The source closed the index connection."))
    }

    fn index_frame(&self, header: Header, payload: &[u8]) -> Result<Exceptions, CoreError> {
        match header.frame_type {
            FrameType::Directory => self.announce_directory(&Directory::read(payload).map_err(malformed)?),
            FrameType::Entries => self.announce_entries(payload),
            FrameType::DirectoryEnd => {
                let end = DirectoryEnd::read(payload).map_err(malformed)?;
                let directory = self.directories.get(end.directory)?;
                directory.data.order.end(end.entries).map_err(malformed)?;
                self.note_extras(&directory, &end)?;
                let root = expect(&directory, end.entries, self)?;
                self.volume_complete(root)?;
                Ok(Vec::new())
            }
            FrameType::DirectoryFailed => {
                let mark = DirectoryMark::read(payload).map_err(malformed)?;
                let directory = self.directories.get(mark.directory)?;
                directory.data.order.has(mark.count).map_err(malformed)?;
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
        let Besides { extras, excluded, reserved } = self.besides(directory, present);
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

    fn besides(&self, directory: &TargetDirectory, present: &Present) -> Besides {
        let node = &directory.data.node;
        let is_root = directory.parent().is_none();
        let mut rules = self.config.filter.as_ref().map(|filter| filter.within(node));
        let mut is_excluded = |name: &[u8], kind: Option<Kind>| {
            let Some(rules) = &mut rules else { return false };
            let look = || stat_at(self.volume.directories.descriptor(node)?.as_fd(), name);
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

    fn announce_directory(&self, message: &Directory<'_>) -> Result<Exceptions, CoreError> {
        let (directory, made) = if message.id == 0 {
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
        check_entries(&directory, head.first_leaf, &entries).map_err(malformed)?;
        let mut rules = self.config.filter.as_ref().map(|filter| filter.within(&directory.data.node));
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
                    let file = Announced { directory, name, leaf, size, link, replaces, base: 0, to_check: false };
                    match self.decide(&file, attributes.as_ref())? {
                        Decision::Send(0) => files.push(Some(file)),
                        Decision::Send(base) => {
                            exceptions.push((position, Outcome::Base(base)));
                            files.push(Some(Announced { base, ..file }));
                        }
                        Decision::Check => {
                            exceptions.push((position, Outcome::Check));
                            files.push(Some(Announced { to_check: true, ..file }));
                        }
                        Decision::Same(kept) => {
                            exceptions.push((position, Outcome::Same));
                            leaves.push((leaf, kept));
                            files.push(None);
                        }
                    }
                }
                Body::Directory => {}
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
fn check_entries(directory: &TargetDirectory, first: u64, entries: &[Entry<'_>]) -> Result<(), Malformed> {
    let is_root = directory.parent().is_none();
    if is_root && entries.iter().any(|entry| RESERVED.contains(&entry.name)) {
        return Err(Malformed("an entry bears a reserved name"));
    }
    directory.data.order.follow(first, entries.iter().map(|entry| entry.name))
}
