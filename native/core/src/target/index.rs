//! The target's end of the index: one thread makes what is announced and acknowledges frame by frame.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::{DirectoryData, TargetDirectory};
use super::files::Announced;
use super::links::{Contents, First, NamePlace};
use super::session::Shared;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::digest::tree::{TreeDirectory, expect};
use crate::error::CoreError;
use crate::fs::fresh::Fresh;
use crate::fs::stat::stat_fd;
use crate::session::events::Event;
use crate::session::item::Side;
use crate::wire::channel::{Channel, malformed};
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Ack, Body, Directory, DirectoryMark, Outcome, read_entries};
use crate::wire::items::read_items;
use crate::wire::limits::MAX_DEPTH;

/// Directories that are not complete, by id.
#[derive(Default)]
pub(super) struct OpenDirectories(Mutex<HashMap<u64, Arc<TargetDirectory>>>);

impl OpenDirectories {
    pub(super) fn lock_map(&self) -> MutexGuard<'_, HashMap<u64, Arc<TargetDirectory>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: u64) -> Result<Arc<TargetDirectory>, CoreError> {
        self.lock_map()
            .get(&id)
            .map(Arc::clone)
            .ok_or_else(|| CoreError::protocol("The peer broke the protocol: entries of an unknown directory."))
    }
}

type Exceptions = Vec<(u32, Outcome)>;

impl Shared {
    /// Serves the index until it ends; the session ends with it unless it has settled.
    pub(super) fn serve_index(&self, channel: &Channel) -> Result<(), CoreError> {
        let mut payload = Vec::new();
        let mut frames = 0;
        while let Some(header) = channel.receive(&mut payload)? {
            match header.frame_type {
                FrameType::Items => {
                    let items = read_items(&payload, Side::Source).map_err(malformed)?;
                    self.events.send(Event::Items(items));
                }
                FrameType::Settled => self.source_settled(),
                _ => {
                    frames += 1;
                    let exceptions = self.index_frame(header, &payload)?;
                    let exceptions = exceptions.into_iter().map(|(at, outcome)| (frames, at, outcome)).collect();
                    let mut out = Vec::with_capacity(16);
                    Ack { frames, exceptions }.put(&mut out);
                    channel.send(FrameType::Ack, false, &[&out])?;
                }
            }
        }
        if self.is_settled() || self.stop.is_stopped() {
            return Ok(());
        }
        Err(CoreError::network("The source closed the index connection."))
    }

    fn index_frame(&self, header: Header, payload: &[u8]) -> Result<Exceptions, CoreError> {
        match header.frame_type {
            FrameType::Directory => self.announce_directory(&Directory::read(payload).map_err(malformed)?),
            FrameType::Entries => self.announce_entries(payload),
            FrameType::DirectoryEnd => {
                let mark = DirectoryMark::read(payload).map_err(malformed)?;
                let directory = self.directories.get(mark.directory)?;
                let root = expect(&directory, mark.count, self)?;
                self.volume_complete(root)?;
                Ok(Vec::new())
            }
            FrameType::DirectoryFailed => {
                let mark = DirectoryMark::read(payload).map_err(malformed)?;
                let directory = self.directories.get(mark.directory)?;
                self.settle(&directory, &[(mark.count, FAILED_LEAF)])?;
                Ok(Vec::new())
            }
            _ => Err(CoreError::protocol("The peer broke the protocol: the index brings data.")),
        }
    }

    fn announce_directory(&self, message: &Directory<'_>) -> Result<Exceptions, CoreError> {
        let (directory, made) = if message.id == 0 {
            (self.root_directory(message)?, true)
        } else {
            let parent = self.directories.get(message.parent)?;
            if parent.data.node.depth >= MAX_DEPTH {
                return Err(CoreError::protocol("The peer broke the protocol: directories nest too deeply."));
            }
            self.make_directory(&parent, message)?
        };
        if made {
            self.count_made(Some(crate::fs::stat::Kind::Directory));
        }
        if self.directories.lock_map().insert(message.id, directory).is_some() {
            return Err(CoreError::protocol("The peer broke the protocol: a directory is announced twice."));
        }
        Ok(if made { Vec::new() } else { vec![(0, Outcome::Failed)] })
    }

    fn root_directory(&self, message: &Directory<'_>) -> Result<Arc<TargetDirectory>, CoreError> {
        use std::os::fd::AsFd;
        let stat = stat_fd(self.volume.directories.root().as_fd())?;
        let data = DirectoryData {
            id: 0,
            node: Arc::clone(&self.volume.root),
            wanted: message.attributes.clone(),
            fresh: Fresh::of(&stat),
            rule: self.volume.root_rule,
            path_hash: [0; 32],
            failed: false,
        };
        Ok(TreeDirectory::new(None, data))
    }

    fn announce_entries(&self, payload: &[u8]) -> Result<Exceptions, CoreError> {
        let (head, entries) = read_entries(payload).map_err(malformed)?;
        let directory = self.directories.get(head.directory)?;
        let mut exceptions = Exceptions::new();
        let mut leaves: Vec<(u64, Leaf)> = Vec::new();
        let mut files = Vec::new();
        let mut others = Vec::new();
        for (position, (leaf, entry)) in (0_u32..).zip((head.first_leaf..).zip(entries)) {
            let place = NamePlace { directory: Arc::clone(&directory), leaf, name: entry.name.into() };
            match entry.body {
                Body::File { size, link } => {
                    let NamePlace { directory, leaf, name } = place;
                    files.push(Announced { directory, name, leaf, size, link });
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

    fn make_announced(&self, body: Body<'_>, place: NamePlace) -> Result<Option<Leaf>, CoreError> {
        match body {
            Body::Symlink { target, attributes, link } => {
                let contents = Contents::Symlink { target: target.into() };
                self.make_entry(&First { place, kind: crate::fs::stat::Kind::Symlink, attributes, contents }, link)
            }
            Body::Special { kind, major, minor, attributes, link } => {
                let contents = Contents::Node { major, minor };
                self.make_entry(&First { place, kind, attributes, contents }, link)
            }
            _ => Ok(None),
        }
    }
}
