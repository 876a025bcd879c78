//! The names of one directory.

use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::RawDir;
use rustix::io::Errno;

use super::stat::Kind;

/// getdents64 fills this much at a time, bytes: some 1,600 entries, and small enough to stay in the L2 cache.
const BUFFER: usize = 64 << 10;

/// Reusable memory for [`Listing::read`], one per thread.
pub struct ListBuffer {
    bytes: Box<[MaybeUninit<u8>]>,
}

impl ListBuffer {
    pub fn new() -> ListBuffer {
        ListBuffer { bytes: Box::new_uninit_slice(BUFFER) }
    }
}

impl Default for ListBuffer {
    fn default() -> ListBuffer {
        ListBuffer::new()
    }
}

/// The names of one directory in byte order, without `.` and `..`: 8 bytes and the name's own for each.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<Packed>,
}

/// Where a name lies: offset (44 bits, 16 TiB of names), length (16 bits: FAT's UTF-8 names exceed 255 bytes), kind (4).
#[derive(Clone, Copy, Debug)]
struct Packed(u64);

const KINDS: [Option<Kind>; 8] = [
    None,
    Some(Kind::File),
    Some(Kind::Directory),
    Some(Kind::Symlink),
    Some(Kind::Fifo),
    Some(Kind::Socket),
    Some(Kind::CharDevice),
    Some(Kind::BlockDevice),
];

impl Packed {
    fn new(offset: usize, length: usize, kind: Option<Kind>) -> Packed {
        let kind = KINDS.iter().position(|&known| known == kind).unwrap_or(0);
        Packed((offset as u64) << 20 | (length as u64 & 0xffff) << 4 | kind as u64)
    }

    fn name(self, names: &[u8]) -> &[u8] {
        let offset = (self.0 >> 20) as usize;
        &names[offset..offset + (self.0 >> 4 & 0xffff) as usize]
    }

    fn kind(self) -> Option<Kind> {
        KINDS[(self.0 & 7) as usize]
    }
}

impl Listing {
    /// Reads all names from the start. The descriptor's offset is used: no two threads may read through the same one.
    ///
    /// A name longer than 255 bytes is listed like any other (`component` refuses it later). A name that the kernel
    /// lists twice, because the directory changes meanwhile, stands here once. `ENOENT` when the directory has been
    /// removed, `EIO` for a file system that lists empty names or names with a `/`.
    pub fn read(directory: BorrowedFd<'_>, buffer: &mut ListBuffer) -> Result<Listing, Errno> {
        // Also for a new descriptor: since Linux 6.5 btrfs lists only what was there at open or at the last rewind.
        rustix::fs::seek(directory, rustix::fs::SeekFrom::Start(0))?;
        let mut listing = Listing::default();
        let mut entries = RawDir::new(directory, &mut buffer.bytes);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            listing.push(entry.file_name().to_bytes(), Kind::of(entry.file_type()))?;
        }
        listing.finish();
        Ok(listing)
    }

    /// The first few names of a directory, in byte order: what a refusal shows.
    pub fn first(directory: BorrowedFd<'_>, count: usize, but_not: &[&[u8]]) -> Result<Vec<Box<[u8]>>, Errno> {
        let listing = Listing::read(directory, &mut ListBuffer::new())?;
        let names = listing.iter().map(|(name, _)| name).filter(|name| !but_not.contains(name));
        Ok(names.take(count).map(Box::from).collect())
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The name at a place in byte order and the kind that the directory itself records, if any: a hint to be checked.
    pub fn get(&self, index: usize) -> Option<(&[u8], Option<Kind>)> {
        self.entries.get(index).map(|entry| (entry.name(&self.names), entry.kind()))
    }

    /// All names in byte order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<Kind>)> {
        self.entries.iter().map(|entry| (entry.name(&self.names), entry.kind()))
    }

    /// Appends a name, out of order; for lists that are made rather than read.
    pub(crate) fn push(&mut self, name: &[u8], kind: Option<Kind>) -> Result<(), Errno> {
        if name == b"." || name == b".." {
            return Ok(());
        }
        if name.is_empty() || name.contains(&b'/') {
            return Err(Errno::IO);
        }
        self.entries.push(Packed::new(self.names.len(), name.len(), kind));
        self.names.extend_from_slice(name);
        Ok(())
    }

    fn finish(&mut self) {
        let names = &self.names;
        self.entries.sort_unstable_by(|a, b| a.name(names).cmp(b.name(names)));
        self.entries.dedup_by(|a, b| a.name(names) == b.name(names));
        // Doubling leaves up to half unused, which counts in a directory of millions.
        if self.names.capacity() > 1 << 20 {
            self.names.shrink_to_fit();
            self.entries.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_costs_less_than_thirty_bytes_beyond_itself() {
        let mut listing = Listing::default();
        let mut own = 0;
        for number in 0..300_000_u32 {
            let name = format!("entry-{}", number.reverse_bits());
            own += name.len();
            listing.push(name.as_bytes(), Some(Kind::File)).unwrap();
        }
        let growing = listing.names.capacity() + listing.entries.capacity() * size_of::<Packed>();
        assert!(growing < own + 300_000 * 30, "{growing}");
        listing.finish();
        let kept = listing.names.capacity() + listing.entries.capacity() * size_of::<Packed>();
        assert_eq!(kept, own + 300_000 * 8);
        assert!(listing.iter().map(|(name, _)| name).is_sorted());
    }

    #[test]
    fn odd_names_are_kept_or_refused() {
        let mut listing = Listing::default();
        let long = vec![b'n'; 765];
        for name in [&long[..], b"twice", b".", b"..", b"twice", b"..."] {
            listing.push(name, None).unwrap();
        }
        listing.finish();
        assert_eq!(listing.iter().map(|(name, _)| name).collect::<Vec<_>>(), [&b"..."[..], &long, b"twice"]);
        assert_eq!(listing.push(b"a/b", None), Err(Errno::IO));
        assert_eq!(listing.push(b"", None), Err(Errno::IO));
    }

    #[test]
    fn every_kind_is_packed() {
        for kind in KINDS {
            assert_eq!(Packed::new(1 << 43, 300, kind).kind(), kind);
        }
    }
}
