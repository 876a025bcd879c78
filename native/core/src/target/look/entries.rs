//! The entries of a directory, compared with those that are here.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};

use super::directory::{Here, LookedDirectory, missing};
use super::files::ToCheck;
use super::links::{FirstLooked, Place};
use super::session::{Judgement, Looking};
use crate::digest::file::{Form, assumed_digest};
use crate::digest::leaf::{FAILED_LEAF, Leaf};
use crate::error::CoreError;
use crate::fs::apply::Attributes;
use crate::fs::aspects::Aspects;
use crate::fs::stat::{Kind, Stat, read_link};
use crate::fs::xattrs::{self, Reading};
use crate::session::difference::{Change, Difference};
use crate::target::compare::needs_check;
use crate::target::index::check_entries;
use crate::target::links::{Contents, leaf_of};
use crate::target::served::Exceptions;
use crate::target::torn::is_among;
use crate::wire::channel::malformed;
use crate::wire::cursor::Malformed;
use crate::wire::index::{Body, Entry, Outcome, read_entries};

/// An entry of the source.
struct Wanted<'a> {
    place: Place,
    kind: Kind,
    link: u64,
    attributes: &'a Attributes,
}

/// What is here under a name that is announced.
enum Found {
    /// An entry of the same kind, or one akin.
    Alike(Stat, Reading),
    /// No such entry: told as missing.
    Missing,
    /// An item has said why it cannot be compared.
    Unknown,
}

/// What becomes of an announced entry.
enum Look {
    Settled(Leaf),
    /// Nothing like it is here.
    Unlike(Outcome),
    Check(Box<ToCheck>),
    /// It differs, and the source may ask how much.
    Differs(Box<ToCheck>),
}

/// One ENTRIES frame on its way.
#[derive(Default)]
struct Batch {
    exceptions: Exceptions,
    leaves: Vec<(u64, Leaf)>,
    files: Vec<Option<Arc<ToCheck>>>,
    others: Vec<(u64, Place)>,
    differences: Vec<Difference>,
}

impl Looking {
    pub(super) fn look_at_entries(&self, payload: &[u8]) -> Result<Exceptions, CoreError> {
        let (head, entries) = read_entries(payload).map_err(malformed)?;
        let directory = self.open.get(head.directory)?;
        let is_root = directory.parent().is_none();
        check_entries(&directory.data.order, is_root, head.first_leaf, &entries).map_err(malformed)?;
        let descriptor = match directory.data.here {
            Here::Listed(_) => self.directories.descriptor(&directory.data.node).ok(),
            _ => None,
        };
        let mut batch = Batch::default();
        for (position, (leaf, entry)) in (0_u32..).zip((head.first_leaf..).zip(entries)) {
            self.look_at_entry(&directory, descriptor.as_ref(), (position, leaf), &entry, &mut batch)?;
        }
        let Batch { exceptions, leaves, files, others, differences } = batch;
        self.tell_differences(differences);
        let to_check: Vec<_> = files.iter().flatten().filter(|file| file.base() == 0).map(Arc::clone).collect();
        self.files.announce(head.first_file, files)?;
        self.readers.add(to_check.into_iter());
        self.settle(&directory, &leaves)?;
        for (link, place) in others {
            self.look_at_other(link, place)?;
        }
        Ok(exceptions)
    }

    fn look_at_entry(
        &self,
        directory: &Arc<LookedDirectory>,
        descriptor: Option<&Arc<OwnedFd>>,
        (position, leaf): (u32, u64),
        entry: &Entry<'_>,
        batch: &mut Batch,
    ) -> Result<(), CoreError> {
        let here = match &directory.data.here {
            Here::Listed(present) => present.meet(entry.name),
            Here::Missing | Here::Closed => false,
        };
        let place = Place { directory: Arc::clone(directory), leaf, name: entry.name.into() };
        let wanted = |kind, link, attributes| Wanted { place: place.clone(), kind, link, attributes };
        let descriptor = descriptor.filter(|_| here);
        let (is_file, look) = match &entry.body {
            Body::Directory => return Ok(()),
            Body::Failed => (false, Look::Settled(FAILED_LEAF)),
            Body::Link { link } => {
                batch.others.push((*link, place));
                return Ok(());
            }
            Body::File { attributes: None, .. } => {
                return Err(malformed(Malformed("a file is announced for another kind of session")));
            }
            Body::File { size, link, attributes: Some(attributes) } => {
                (true, self.look_at_file(&wanted(Kind::File, *link, attributes), *size, descriptor, batch)?)
            }
            Body::Symlink { target, attributes, link } => {
                let contents = Contents::Symlink { target: (*target).into() };
                (false, self.look_at_made(&wanted(Kind::Symlink, *link, attributes), contents, descriptor, batch)?)
            }
            Body::Special { kind, major, minor, attributes, link } => {
                let contents = Contents::Node { major: *major, minor: *minor };
                (false, self.look_at_made(&wanted(*kind, *link, attributes), contents, descriptor, batch)?)
            }
        };
        let checked = match look {
            Look::Settled(settled) => {
                batch.leaves.push((leaf, settled));
                if is_file {
                    batch.exceptions.push((position, Outcome::Same));
                }
                None
            }
            Look::Unlike(outcome) => {
                batch.leaves.push((leaf, FAILED_LEAF));
                batch.exceptions.push((position, outcome));
                None
            }
            Look::Check(file) => {
                batch.exceptions.push((position, Outcome::Check));
                Some(Arc::new(*file))
            }
            Look::Differs(file) => {
                batch.exceptions.push((position, Outcome::Base(file.base())));
                Some(Arc::new(*file))
            }
        };
        if is_file {
            batch.files.push(checked);
        }
        Ok(())
    }

    /// What bears the entry's name. When it is of another kind, everything in it would go.
    fn find(
        &self,
        wanted: &Wanted<'_>,
        descriptor: Option<&Arc<OwnedFd>>,
        to: &[u8],
        batch: &mut Batch,
    ) -> Result<Found, CoreError> {
        let place = &wanted.place;
        let read = |directory: &Arc<OwnedFd>| xattrs::read_at(directory.as_fd(), &place.name, true);
        let found = self.find_name(place).map(|stat| stat.filter(|_| descriptor.is_some()));
        let stat = match (found, descriptor) {
            (Ok(Some(stat)), Some(directory)) if are_akin(stat.kind, wanted.kind) => match read(directory) {
                Ok(reading) => return Ok(Found::Alike(stat, reading)),
                Err(errno) => Err(errno),
            },
            (found, _) => found,
        };
        match stat {
            Ok(stat) => {
                if stat.is_some_and(|stat| stat.kind == Kind::Directory) {
                    self.tell_replaced(&place.directory.data.node, &place.name)?;
                }
                batch.differences.push(missing(wanted.kind, place.path(), to.to_vec()));
                let first = self.first_of(wanted, None, Attributes::default(), None, Aspects::NONE);
                self.first_looked(wanted.link, first)?;
                Ok(Found::Missing)
            }
            Err(errno) => {
                if !matches!(place.directory.data.here, Here::Closed) {
                    self.unreadable(place.path(), "attributes", errno);
                }
                self.first_unknown(wanted.link)?;
                Ok(Found::Unknown)
            }
        }
    }

    fn first_of(
        &self,
        wanted: &Wanted<'_>,
        stat: Option<&Stat>,
        found: Attributes,
        contents: Option<Contents>,
        aspects: Aspects,
    ) -> FirstLooked {
        FirstLooked {
            place: wanted.place.clone(),
            inode: stat.map(Stat::key),
            kind: wanted.kind,
            wanted: wanted.attributes.clone(),
            found,
            contents,
            aspects,
        }
    }

    fn look_at_file(
        &self,
        wanted: &Wanted<'_>,
        size: u64,
        descriptor: Option<&Arc<OwnedFd>>,
        batch: &mut Batch,
    ) -> Result<Look, CoreError> {
        let (stat, reading) = match self.find(wanted, descriptor, &[], batch)? {
            Found::Alike(stat, reading) => (stat, reading),
            Found::Missing => return Ok(Look::Unlike(Outcome::Differs)),
            Found::Unknown => return Ok(Look::Unlike(Outcome::Failed)),
        };
        let is_claimed = self.claims.claim(&stat, wanted.link);
        let (aspects, found) = self.compare_attributes(&stat, reading, wanted.attributes, &|| wanted.place.path());
        let aspects = aspects.with_if(stat.size != size, Aspects::SIZE);
        let to_check = |aspects, base| {
            let Wanted { place, link, .. } = wanted;
            Box::new(ToCheck {
                place: place.clone(),
                link: *link,
                stat: stat.clone(),
                attributes: found.clone(),
                aspects,
                bytes: OnceLock::new(),
                base: AtomicU64::new(base),
                answer: Mutex::default(),
            })
        };
        let check = |aspects| Look::Check(to_check(aspects, 0));
        match self.config.judgement {
            Judgement::EveryByte if stat.size == size => Ok(check(aspects.with_if(!is_claimed, Aspects::LINK))),
            Judgement::EveryByte => self.replaced(wanted, &stat, aspects.with(Aspects::CONTENT), batch),
            Judgement::AsCopy(_)
                if stat.size != size || aspects.has(Aspects::TIME) || !is_claimed || self.is_torn(wanted, &stat) =>
            {
                let base = self.base_of(stat.size, size);
                let replaced = self.replaced(wanted, &stat, aspects, batch)?;
                Ok(if base > 0 { Look::Differs(to_check(aspects, base)) } else { replaced })
            }
            Judgement::AsCopy(comparison)
                if needs_check(&comparison, self.coming.doubt.as_ref(), wanted.attributes.mtime, &stat) =>
            {
                Ok(check(aspects))
            }
            Judgement::AsCopy(_) => self.assumed(wanted, &stat, aspects, found, batch),
        }
    }

    /// Whether the copy to come would write it anew, whatever its size and time are.
    fn is_torn(&self, wanted: &Wanted<'_>, stat: &Stat) -> bool {
        is_among(&self.coming.torn, stat, || wanted.place.path())
    }

    fn replaced(
        &self,
        wanted: &Wanted<'_>,
        stat: &Stat,
        aspects: Aspects,
        batch: &mut Batch,
    ) -> Result<Look, CoreError> {
        self.count_looked(Some(wanted.kind));
        batch.differences.push(self.difference(wanted, Change::Replaced, aspects, &[]));
        self.first_looked(wanted.link, self.first_of(wanted, Some(stat), Attributes::default(), None, aspects))?;
        Ok(Look::Unlike(Outcome::Differs))
    }

    /// Size and time are enough.
    fn assumed(
        &self,
        wanted: &Wanted<'_>,
        stat: &Stat,
        aspects: Aspects,
        found: Attributes,
        batch: &mut Batch,
    ) -> Result<Look, CoreError> {
        self.ledger.count_assumed();
        self.count_file(stat);
        let digest = assumed_digest(stat.size, wanted.attributes.mtime);
        let contents = Contents::File { form: Form::Assumed, digest };
        self.alike(wanted, stat, aspects, (found, contents), batch)
    }

    /// A symlink or special.
    fn look_at_made(
        &self,
        wanted: &Wanted<'_>,
        contents: Contents,
        descriptor: Option<&Arc<OwnedFd>>,
        batch: &mut Batch,
    ) -> Result<Look, CoreError> {
        let to: &[u8] = if let Contents::Symlink { target } = &contents { target } else { &[] };
        let (stat, reading) = match self.find(wanted, descriptor, to, batch)? {
            Found::Alike(stat, reading) => (stat, reading),
            Found::Missing => return Ok(Look::Unlike(Outcome::Differs)),
            Found::Unknown => return Ok(Look::Unlike(Outcome::Failed)),
        };
        let same = match &contents {
            Contents::Symlink { target } => descriptor.is_some_and(|directory| {
                read_link(directory.as_fd(), &wanted.place.name).is_ok_and(|found| found == *target)
            }),
            Contents::Node { major, minor } => {
                !matches!(stat.kind, Kind::CharDevice | Kind::BlockDevice)
                    || (stat.rdev_major, stat.rdev_minor) == (*major, *minor)
            }
            Contents::File { .. } => false,
        };
        let same = same && stat.kind == wanted.kind;
        let is_claimed = self.claims.claim(&stat, wanted.link);
        let (aspects, found) = self.compare_attributes(&stat, reading, wanted.attributes, &|| wanted.place.path());
        self.count_looked(Some(wanted.kind));
        if same && is_claimed {
            return self.alike(wanted, &stat, aspects, (found, contents), batch);
        }
        let aspects = aspects.with(if same { Aspects::LINK } else { Aspects::CONTENT });
        let change = if same { Change::Attributes } else { Change::Replaced };
        batch.differences.push(self.difference(wanted, change, aspects, to));
        self.first_looked(wanted.link, self.first_of(wanted, Some(&stat), Attributes::default(), None, aspects))?;
        Ok(Look::Unlike(Outcome::Differs))
    }

    /// The entry is the same, but for attributes.
    fn alike(
        &self,
        wanted: &Wanted<'_>,
        stat: &Stat,
        aspects: Aspects,
        (found, contents): (Attributes, Contents),
        batch: &mut Batch,
    ) -> Result<Look, CoreError> {
        if !aspects.is_empty() {
            let to: &[u8] = if let Contents::Symlink { target } = &contents { target } else { &[] };
            batch.differences.push(self.difference(wanted, Change::Attributes, aspects, to));
        }
        let leaf = leaf_of(&wanted.place.name, wanted.kind, &found, &contents);
        self.first_looked(wanted.link, self.first_of(wanted, Some(stat), found, Some(contents), aspects))?;
        Ok(Look::Settled(leaf))
    }

    fn difference(&self, wanted: &Wanted<'_>, change: Change, aspects: Aspects, to: &[u8]) -> Difference {
        Difference { change, kind: wanted.kind, aspects, path: wanted.place.path(), to: to.to_vec() }
    }
}

/// Whether people call two kinds the same: a FIFO and a socket are both special, and devices are devices.
fn are_akin(a: Kind, b: Kind) -> bool {
    let special = |kind| matches!(kind, Kind::Fifo | Kind::Socket);
    let device = |kind| matches!(kind, Kind::CharDevice | Kind::BlockDevice);
    a == b || (special(a) && special(b)) || (device(a) && device(b))
}
