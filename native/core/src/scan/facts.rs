//! What can be said of a volume before anything is copied.

use std::os::fd::AsFd;
use std::path::Path;

use super::shown::shown;
use super::volume::RESERVED;
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::list::Listing;
use crate::fs::open::{Opener, open_volume};
use crate::fs::process::ProcessIds;
use crate::fs::space::{Space, is_mount_point, space};

/// Names shown.
const SHOWN: usize = 20;

#[derive(Clone, Debug)]
pub struct Facts {
    pub space: Space,
    pub is_mount_point: bool,
    /// Escaped for printing; what is reserved aside.
    pub first_names: Vec<String>,
    /// What an unfinished copy into this volume recorded.
    pub unfinished_transfer: Option<String>,
    /// The last thing that its journal tells is that this copy is finished.
    pub is_finished: bool,
    /// Its journal cannot be read; why.
    pub journal_error: Option<CoreError>,
    /// Another target has locked the volume; who.
    pub held_by: Option<String>,
    pub ids: ProcessIds,
}

/// Reads the facts of the directory at `path`.
pub fn facts(path: &Path) -> Result<Facts, CoreError> {
    let failed = |errno: Errno| {
        let what = format!("The volume {} cannot be read", path.display());
        CoreError::from_io(ErrorKind::Volume, what, &std::io::Error::from(errno))
    };
    let root = open_volume(path).map_err(failed)?;
    let names = Listing::first(root.as_fd(), SHOWN, &RESERVED).map_err(failed)?;
    let opener = Opener::new(false);
    let journal = crate::target::journal::brief(&opener, root.as_fd(), path);
    Ok(Facts {
        space: space(root.as_fd()).map_err(failed)?,
        is_mount_point: is_mount_point(path).map_err(failed)?,
        first_names: names.iter().map(|name| shown(name)).collect(),
        unfinished_transfer: journal.transfer,
        is_finished: journal.finished.is_some(),
        journal_error: journal.error,
        held_by: journal.held_by,
        ids: ProcessIds::read().map_err(failed)?,
    })
}
