//! What the target has already: which announced entries are there, and which have to be made, sent or looked into.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::directory::lost_all;
use super::files::{Announced, Found};
use super::journal::Doubt;
use super::lane::LaneState;
use super::large::base_of;
use super::links::{Contents, First, NamePlace};
use super::session::Shared;
use crate::digest::file::{Form, assumed_digest};
use crate::digest::leaf::Leaf;
use crate::error::CoreError;
use crate::fs::Errno;
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::fs::make;
use crate::fs::medium::drop_cache;
use crate::fs::stat::{InodeKey, Kind, Stat, Timestamp, read_link, stat_at, stat_fd};
use crate::scan::digest::digest_file;
use crate::session::counters::Counter;
use crate::session::life::Living;
use crate::wire::channel::malformed;
use crate::wire::check::{Check, read_checks};
use crate::wire::index::Outcome;
use crate::wire::limits::PACK_FILE;

/// How a session that compares tells what is unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Comparison {
    /// Size and time prove nothing: the digests of all files are compared.
    pub digests: bool,
    /// Files of this time (the source's clock) or later may have changed unseen since they were copied: their digests are
    /// compared.
    pub racy_from: Option<Timestamp>,
}

/// What a session that compares keeps besides.
#[derive(Default)]
pub(super) struct Claims {
    /// Inodes with several names, and the link that they were found to be.
    links: Mutex<HashMap<InodeKey, u64>>,
    /// Names among the parts.
    names: AtomicU64,
}

/// What becomes of a file that may be there.
pub(super) enum Decision {
    /// With so many bytes, counted from the start, pieces of it may be compared.
    Send(u64),
    Check,
    Same(Leaf),
}

impl Claims {
    /// Whether an inode's other names, if it has any, may be those of this link.
    pub(super) fn claim(&self, stat: &Stat, link: u64) -> bool {
        match stat.shared_key() {
            None => true,
            Some(_) if link == 0 => false,
            Some(key) => *self.links.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(link) == link,
        }
    }

    /// A name among the parts that nothing else bears. (Those of large files are numbers.)
    pub(super) fn part_name(&self) -> String {
        format!("n{}", self.names.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether size and time of a file, which are the same, prove nothing.
pub(super) fn needs_check(comparison: &Comparison, doubt: Option<&Doubt>, mtime: Timestamp, stat: &Stat) -> bool {
    comparison.digests
        || comparison.racy_from.is_some_and(|from| mtime >= from)
        // It may not have reached the disk before the power failed.
        || doubt.is_some_and(|doubt| (doubt.from..=doubt.until).contains(&stat.ctime))
}

impl Shared {
    /// Decides on a file whose name is taken; gives it its attributes when it can stay.
    pub(super) fn compare_file(
        &self,
        announced: &Announced,
        wanted: &Attributes,
        comparison: &Comparison,
    ) -> Result<Decision, CoreError> {
        let Ok(directory) = self.volume.directories.descriptor(&announced.directory.data.node) else {
            return Ok(Decision::Send(0));
        };
        let Ok(stat) = stat_at(directory.as_fd(), &announced.name) else { return Ok(Decision::Send(0)) };
        if stat.kind != Kind::File {
            return Ok(Decision::Send(0));
        }
        if self.is_torn(announced, &stat) {
            return Ok(Decision::Send(base_of(stat.size, announced.size)));
        }
        let same = stat.size == announced.size
            && self.is_stored_time(stat.mtime, wanted.mtime)
            && self.claims.claim(&stat, announced.link);
        if !same {
            return Ok(Decision::Send(base_of(stat.size, announced.size)));
        }
        if needs_check(comparison, self.volume.history.doubt.as_ref(), wanted.mtime, &stat) {
            return Ok(Decision::Check);
        }
        self.ledger.count_assumed();
        let digest = assumed_digest(announced.size, wanted.mtime);
        self.keep_file(announced, &directory, &stat, wanted, (Form::Assumed, digest)).map(Decision::Same)
    }

    /// A file stays, with the attributes that it shall have.
    fn keep_file(
        &self,
        announced: &Announced,
        directory: &Arc<OwnedFd>,
        stat: &Stat,
        wanted: &Attributes,
        (form, digest): (Form, crate::digest::Digest),
    ) -> Result<Leaf, CoreError> {
        let attributes = self.bring(directory, &announced.name, stat, wanted, &|| announced.path())?;
        let data = if stat.size <= PACK_FILE { stat.size } else { (stat.blocks * 512).min(stat.size) };
        self.counters.add(Counter::BytesDone, data);
        self.count_file(stat.size);
        self.finish_file(announced, attributes, form, digest)
    }

    /// Gives an entry that is there the attributes that it shall have; what it has then.
    pub(super) fn bring(
        &self,
        directory: &Arc<OwnedFd>,
        name: &[u8],
        stat: &Stat,
        wanted: &Attributes,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Result<Attributes, CoreError> {
        let brought = self.volume.applier.bring(directory.as_fd(), name, stat, wanted);
        self.accept(directory, name, wanted, brought.unwrap_or_else(lost_all), path)
    }

    /// Whether a time is what this file system makes of another.
    fn is_stored_time(&self, found: Timestamp, wanted: Timestamp) -> bool {
        // Every file system holds the nanoseconds, or cuts them off, and the years 1970 to 2038.
        let common = (0..1_i64 << 31).contains(&wanted.seconds);
        if found == wanted || (common && self.volume.applier.keeps_nanoseconds()) {
            return found == wanted;
        }
        let name = self.claims.part_name();
        let stored = self.volume.opener.create_file(self.volume.parts(), name.as_bytes(), 0o600).and_then(|file| {
            let stored = self.volume.applier.stored_time(file.as_fd(), wanted);
            make::unlink(self.volume.parts(), name.as_bytes())?;
            stored
        });
        stored.is_ok_and(|stored| stored == found)
    }

    /// A symlink or special that is there already keeps its place; its attributes, or None when it has to be made.
    pub(super) fn keep_entry(
        &self,
        directory: &Arc<OwnedFd>,
        first: &First,
        link: u64,
    ) -> Result<Option<Attributes>, CoreError> {
        let name = &first.place.name;
        let Ok(stat) = stat_at(directory.as_fd(), name) else { return Ok(None) };
        let same = stat.kind == first.kind
            && match &first.contents {
                Contents::Symlink { target } => read_link(directory.as_fd(), name).is_ok_and(|found| found == *target),
                Contents::Node { major, minor } => {
                    !matches!(stat.kind, Kind::CharDevice | Kind::BlockDevice)
                        || (stat.rdev_major, stat.rdev_minor) == (*major, *minor)
                }
                Contents::File { .. } => false,
            };
        if !same || !self.claims.claim(&stat, link) {
            return Ok(None);
        }
        self.bring(directory, name, &stat, &first.attributes, &|| first.place.path()).map(Some)
    }

    /// Whether a name is one of the inode that bears another.
    pub(super) fn is_linked(&self, old: (&OwnedFd, &[u8]), place: (&OwnedFd, &NamePlace)) -> bool {
        let (directory, place) = place;
        let key = |stat: Stat| (stat.device, stat.inode);
        place.replaces
            && match (stat_at(old.0.as_fd(), old.1), stat_at(directory.as_fd(), &place.name)) {
                (Ok(first), Ok(found)) => key(first) == key(found),
                _ => false,
            }
    }

    /// Gives what lies among the parts its name: at once, in place of whatever bears it.
    pub(super) fn put_in_place(
        &self,
        part: &[u8],
        (node, directory): (&Arc<DirectoryNode>, BorrowedFd<'_>),
        name: &[u8],
        replaces: bool,
    ) -> Result<(), Errno> {
        let parts = self.volume.parts();
        if !replaces {
            return make::rename_no_replace(parts, part, directory, name);
        }
        match make::rename(parts, part, directory, name) {
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                self.remove_directory(node, directory, name)?;
                make::rename(parts, part, directory, name)
            }
            renamed => renamed,
        }
    }

    /// The source says what it has of files that we seem to have.
    pub(super) fn check_files(&self, payload: &[u8], lane: &mut LaneState) -> Result<(), CoreError> {
        let checks = read_checks(payload).map_err(malformed)?;
        checks.iter().enumerate().try_for_each(|(position, check)| self.check_file(position, check, lane))
    }

    fn check_file(&self, position: usize, check: &Check, lane: &mut LaneState) -> Result<(), CoreError> {
        let announced = match self.files.take(check.file, self, lane)? {
            Found::Announced(announced) if announced.to_check => announced,
            Found::Large(large) if large.announced.to_check => {
                // The source gave this lane up before the CHECK was read, and has had the answer over another one.
                lane.except(position, Outcome::Again);
                return Ok(());
            }
            Found::Announced(_) | Found::Large(_) => {
                return Err(CoreError::protocol("The peer broke the protocol: it checks what it was asked to send."));
            }
            Found::Finished(leaf) => {
                lane.except(position, Outcome::Duplicate(leaf.content, leaf.metadata));
                return Ok(());
            }
        };
        let Some((directory, stat)) = self.has_bytes(&announced, check) else {
            let base = base_of(announced.size, announced.size);
            // It may be checked once more: the lane may die with the answer.
            self.files.put_back(check.file, Announced { base, ..announced }, lane);
            lane.except(position, if base > 0 { Outcome::Base(base) } else { Outcome::Again });
            return Ok(());
        };
        self.ledger.count_compared();
        let leaf = self.keep_file(&announced, &directory, &stat, &check.attributes, (check.form, check.digest))?;
        lane.finished.push((check.file, leaf));
        self.settle(&announced.directory, &[(announced.leaf, leaf)])
    }

    /// The file as it is here, if it holds the bytes that the source has. One that cannot be read holds others.
    fn has_bytes(&self, announced: &Announced, check: &Check) -> Option<(Arc<OwnedFd>, Stat)> {
        let directory = self.volume.directories.descriptor(&announced.directory.data.node).ok()?;
        let file = self.volume.opener.file(directory.as_fd(), &announced.name).ok()?;
        let stat = stat_fd(file.as_fd()).ok()?;
        if self.reads_medium() {
            drop_cache(file.as_fd()).ok()?;
        }
        if stat.kind != Kind::File || stat.size != check.size {
            return None;
        }
        let digest = digest_file(file.as_fd(), check.form, stat.size, &mut Vec::new(), &self.life().stop).ok()?;
        (digest == check.digest).then_some((directory, stat))
    }
}
