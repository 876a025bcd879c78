//! How many descriptors this process may hold.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one and returns it. Failing changes nothing: what there is, is
/// returned. Programs started afterwards inherit it.
pub fn raise_open_files() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => before.unwrap_or(u64::MAX),
    }
}

/// How many directories may be kept open: a quarter of the limit, at most 512; more are opened again when needed.
pub fn directory_budget() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from((limit / 4).clamp(8, 512)).unwrap_or(512)
}
