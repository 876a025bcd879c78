//! Removing everything below a directory, or nothing more at the first entry that cannot be removed.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::directory_path::{Directories, DirectoryNode};
use super::limits::directory_budget;
use super::open::Opener;
pub use super::sweep::ClearError;
use super::sweep::{Sweep, Witness, Work};

/// Removes everything below `root` except the names `kept` at its top, and returns how many entries that were.
///
/// Stops at the first entry that cannot be removed; what has vanished by itself is fine. `root` is duplicated. See
/// [`super::sweep`].
pub fn clear(root: BorrowedFd<'_>, kept: &[&[u8]]) -> Result<u64, ClearError> {
    clear_until(root, kept, &|| false)
}

/// As [`clear`], asking `stop` before each entry: once it says true, the rest stays and the error is `EINTR`.
pub fn clear_until(root: BorrowedFd<'_>, kept: &[&[u8]], stop: &dyn Fn() -> bool) -> Result<u64, ClearError> {
    let duplicate = rustix::io::fcntl_dupfd_cloexec(root, 0).map_err(|errno| ClearError { path: Vec::new(), errno })?;
    let directories = Directories::new(duplicate, Opener::new(false), directory_budget());
    let mut strict = Strict { stop };
    let mut sweep = Sweep::new(&directories, Work::Remove, &mut strict);
    sweep.contents(&DirectoryNode::root(), kept)?;
    Ok(sweep.done())
}

/// Takes nothing that stays.
struct Strict<'a> {
    stop: &'a dyn Fn() -> bool,
}

impl Witness for Strict<'_> {
    fn stopped(&self) -> bool {
        (self.stop)()
    }

    /// A mount point is busy, not "on another device".
    fn stays(&mut self, entry: ClearError) -> Result<(), ClearError> {
        let errno = if entry.errno == Errno::XDEV { Errno::BUSY } else { entry.errno };
        Err(ClearError { errno, ..entry })
    }

    fn lost(&mut self, _what: &str, directory: ClearError) -> Result<(), ClearError> {
        Err(directory)
    }
}
