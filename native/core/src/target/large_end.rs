//! How a large file ends: whole and under its name, or lost.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::files::Found;
use super::journal::PartEnd;
use super::lane::LaneState;
use super::large::{Large, Target};
use super::part::PartFile;
use super::read_back::{Job, WholeFile};
use super::session::Shared;
use crate::digest::file::sent_digest;
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::make;
use crate::session::counters::Counter;
use crate::wire::channel::malformed;
use crate::wire::index::Outcome;
use crate::wire::lane::End;

impl Shared {
    pub(super) fn end_large(&self, payload: &[u8], lane: &mut LaneState) -> Result<(), CoreError> {
        let end = End::read(payload).map_err(malformed)?;
        let large = match self.large(end.of, lane)? {
            Target::Live(large) => large,
            Target::Answered(outcome) => {
                lane.answer(outcome);
                return Ok(());
            }
        };
        let (form, size) = {
            let mut state = large.quiet();
            if state.over {
                drop(state);
                lane.answer(Some(large.ending(&self.life.stop)?));
                return Ok(());
            }
            let is_whole = end.of.attempt == state.attempt && state.digest.finish() == Some(end.digest);
            if !is_whole || large.part.older_changed() {
                self.counters.add(Counter::Resent, state.moved);
                lane.answer(Some(Outcome::Again));
                return Ok(());
            }
            state.over = true;
            large.part.close_older();
            self.ledger.count_moved(state.moved);
            self.ledger.count_matched(state.matched);
            (state.digest.form(), state.size)
        };
        let whole = WholeFile { large, end, form, size };
        if let Some(queue) = &self.read_back {
            return queue.put(Job::Whole(whole), &self.life.stop);
        }
        let leaf = self.name_large(&whole)?;
        lane.finished.push((whole.large.id, leaf));
        if leaf == FAILED_LEAF {
            lane.answer(Some(Outcome::Failed));
        }
        Ok(())
    }

    /// Gives a whole file its attributes and its name; its leaf.
    pub(super) fn name_large(&self, whole: &WholeFile) -> Result<Leaf, CoreError> {
        let WholeFile { large, end, form, size } = whole;
        let announced = &large.announced;
        let named = match &large.part.name {
            Some(name) => self.name_part(large, name, &end.attributes)?,
            None => self.mend(large, &end.attributes)?,
        };
        let leaf = match named {
            Ok(attributes) => {
                self.count_file(*size);
                // All its pieces were, by now.
                if self.read_back.is_some() && !large.lock().unknown {
                    self.ledger.count_read_back(*size);
                }
                let digest = sent_digest(*form, end.digest, *size, end.attributes.mtime);
                self.finish_file(announced, attributes, *form, digest)?
            }
            Err(errno) => {
                self.extras.distrust(&announced.directory.data, errno);
                self.not_written(announced.path(), "data", errno)?;
                self.first_failed(announced.link)?;
                FAILED_LEAF
            }
        };
        large.conclude(leaf);
        // As long as that takes, which may include removing what is extra, an END over another lane finds it.
        self.settle(&announced.directory, &[(announced.leaf, leaf)])?;
        self.files.drop_large(large.id);
        Ok(leaf)
    }

    /// Gives a part its attributes and the file's name; what it has then. A part that does not get the name goes.
    fn name_part(
        &self,
        large: &Large,
        name: &str,
        wanted: &Attributes,
    ) -> Result<Result<Attributes, Errno>, CoreError> {
        let announced = &large.announced;
        let fresh = self.volume.parts_rule.file(0o600);
        let fd = large.part.fd.as_fd();
        let lost = self.volume.apply_to_file(fd, wanted, &fresh);
        let lost = lost.map_err(|errno| self.volume.fatal(errno, &announced.path()))?;
        let attributes = self.kept(fd, wanted.clone(), lost, &|| announced.path())?;
        if self.volume.fsync_each {
            rustix::fs::fsync(fd).map_err(|errno| self.volume.fatal(errno, &announced.path()))?;
        }
        let named = self.volume.directories.descriptor(&announced.directory.data.node).and_then(|directory| {
            let place = (&announced.directory.data.node, directory.as_fd());
            self.put_in_place(name.as_bytes(), place, &announced.name, announced.replaces)
        });
        self.part_ended(name, if named.is_ok() { PartEnd::Done } else { PartEnd::Dropped })?;
        if named.is_err() {
            let _ = make::unlink(self.volume.parts(), name.as_bytes());
        }
        Ok(named.map(|()| attributes))
    }

    pub(super) fn forget_file(&self, id: u64, lane: &mut LaneState) -> Result<(), CoreError> {
        let announced = match self.files.take(id, self, lane)? {
            Found::Finished(leaf) => {
                lane.answer(Some(Outcome::Duplicate(leaf.content, leaf.metadata)));
                return Ok(());
            }
            Found::Large(large) => {
                if std::mem::replace(&mut large.quiet().over, true) {
                    lane.answer(Some(large.ending(&self.life.stop)?));
                    return Ok(());
                }
                return self.remove_large(&large);
            }
            Found::Announced(announced) => announced,
        };
        self.first_failed(announced.link)?;
        self.files.remember([(id, FAILED_LEAF)]);
        self.settle(&announced.directory, &[(announced.leaf, FAILED_LEAF)])
    }

    /// A piece could not be written: an item, or the end of the session.
    pub(super) fn large_failed(&self, large: &Arc<Large>, errno: Errno, lane: &mut LaneState) -> Result<(), CoreError> {
        lane.answer(Some(Outcome::Failed));
        if std::mem::replace(&mut large.quiet().over, true) {
            return Ok(());
        }
        self.not_written(large.announced.path(), "data", errno)?;
        self.remove_large(large)
    }

    /// The file itself stays.
    pub(super) fn remove_part(&self, part: &PartFile) {
        if let Some(name) = &part.name {
            let _ = make::unlink(self.volume.parts(), name.as_bytes());
        }
    }

    pub(super) fn remove_large(&self, large: &Large) -> Result<(), CoreError> {
        self.remove_part(&large.part);
        if let Some(name) = &large.part.name {
            self.part_ended(name, PartEnd::Dropped)?;
        }
        large.conclude(FAILED_LEAF);
        self.files.drop_large(large.id);
        self.files.remember([(large.id, FAILED_LEAF)]);
        self.first_failed(large.announced.link)?;
        self.settle(&large.announced.directory, &[(large.announced.leaf, FAILED_LEAF)])
    }
}
