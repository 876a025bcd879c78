//! The index: what is announced is compared with what is here.

use std::sync::Arc;

use super::directory::{Here, LookedDirectory};
use super::session::Looking;
use crate::digest::leaf::FAILED_LEAF;
use crate::digest::tree::expect;
use crate::error::CoreError;
use crate::target::besides::{Besides, besides};
use crate::target::existing::{Existing, check_empty_source};
use crate::target::served::Exceptions;
use crate::wire::channel::malformed;
use crate::wire::frame::{FrameType, Header};
use crate::wire::index::{Directory, DirectoryEnd, DirectoryMark, Outcome};
use crate::wire::limits::MAX_DEPTH;

impl Looking {
    pub(super) fn look_at_announced(&self, header: Header, payload: &[u8]) -> Result<Exceptions, CoreError> {
        match header.frame_type {
            FrameType::Directory => self.look_at_directory(&Directory::read(payload).map_err(malformed)?),
            FrameType::Entries => self.look_at_entries(payload),
            FrameType::DirectoryEnd => {
                let end = DirectoryEnd::read(payload).map_err(malformed)?;
                let directory = self.open.get(end.directory)?;
                directory.data.order.end(end.entries).map_err(malformed)?;
                self.look_at_rest(&directory, &end)?;
                let root = expect(&directory, end.entries, self)?;
                self.volume_complete(root)?;
                Ok(Vec::new())
            }
            FrameType::DirectoryFailed => {
                let mark = DirectoryMark::read(payload).map_err(malformed)?;
                let directory = self.open.get(mark.directory)?;
                directory.data.order.has(mark.count).map_err(malformed)?;
                self.settle(&directory, &[(mark.count, FAILED_LEAF)])?;
                Ok(Vec::new())
            }
            _ => Err(CoreError::protocol("The peer broke the protocol: the index brings data.")),
        }
    }

    fn look_at_directory(&self, message: &Directory<'_>) -> Result<Exceptions, CoreError> {
        let directory = if message.id == 0 {
            self.root_directory(message)?
        } else {
            let parent = self.open.get(message.parent)?;
            if parent.data.node.depth >= MAX_DEPTH {
                return Err(CoreError::protocol("The peer broke the protocol: directories nest too deeply."));
            }
            parent.data.order.has(message.leaf).map_err(malformed)?;
            self.subdirectory(&parent, message)?
        };
        let outcome = match directory.data.here {
            Here::Listed(_) => None,
            Here::Missing => Some(Outcome::Differs),
            Here::Closed => Some(Outcome::Failed),
        };
        self.open.insert(directory).map_err(malformed)?;
        Ok(outcome.into_iter().map(|outcome| (0, outcome)).collect())
    }

    /// What a directory holds besides is extra, if the source has named all that it has there.
    fn look_at_rest(&self, directory: &Arc<LookedDirectory>, end: &DirectoryEnd) -> Result<(), CoreError> {
        let Here::Listed(present) = &directory.data.here else { return Ok(()) };
        let is_root = directory.parent().is_none();
        let listed = present.len() as u64;
        let filter = self.config.filter.as_deref();
        let Besides { extras, excluded, reserved } = besides(&directory.data.node, present, filter, &self.directories);
        self.extras.listed(listed.saturating_sub(excluded + reserved));
        self.ledger.count_excluded(excluded);
        if !end.complete {
            return Ok(());
        }
        if is_root {
            let config = &self.config;
            let (had, allowed) = (extras.len() as u64, config.allow_empty_source);
            check_empty_source(&config.volume, config.existing, allowed, end.entries, had)?;
        }
        if self.config.existing != Existing::Mirror {
            return Ok(());
        }
        self.tell_extras(&directory.data.node, &extras)
    }
}
