//! A finished copy whose target ended before it could remove pvferry's folder: what that target still had to do.

use std::os::fd::AsFd;
use std::path::Path;

use super::clearing::{leave_folder, leave_locked, volume_error};
use super::journal::{Pass, brief, foreign, lock, path_of};
use crate::error::{CoreError, ErrorKind};
use crate::fs::Errno;
use crate::fs::apply::restore_mtime;
use crate::fs::open::{Opener, open_volume};
use crate::fs::space::sync_volume;
use crate::fs::stat::stat_fd;

/// Removes pvferry's folder, and gives the root back the time that this changes; all of that is on disk when this
/// returns. Nothing is removed unless the journal, read while the volume is locked, is this transfer's and says that the
/// copy is finished. Returns the pass that it was finished with; None when the journal is gone already.
pub fn leave_finished(path: &Path, transfer: &str) -> Result<Option<Pass>, CoreError> {
    let failed = |what: &'static str| move |errno: Errno| volume_error(path, what, errno);
    let stays = failed("is complete, but its .pvferry stays");
    let root = open_volume(path).map_err(failed("cannot be opened"))?;
    let root = root.as_fd();
    let opener = Opener::new(false);
    let Some(locked) = lock::take_found(&opener, root, path)? else { return Ok(None) };
    // The copy set it; nothing of pvferry has changed the root since.
    let mtime = stat_fd(root).map_err(failed("cannot be read"))?.mtime;
    let found = brief(&opener, root, path);
    if let Some(error) = found.error {
        return Err(error);
    }
    let finished = match (found.transfer, found.finished) {
        // Another target has removed it, and we were quick to lock the folder meanwhile.
        (None, _) => None,
        (Some(theirs), _) if theirs != transfer => return Err(foreign(&path_of(path), &theirs, transfer)),
        (Some(_), None) => return Err(taken_up(path)),
        (Some(_), finished) => finished,
    };
    let leave = if finished.is_some() { leave_locked } else { leave_folder };
    leave(&locked, root).map_err(stays)?;
    // Who may not set it could not when the copy did: that has been reported.
    let _ = restore_mtime(root, mtime);
    sync_volume(root).map_err(failed("could not be written to disk"))?;
    Ok(finished)
}

fn taken_up(path: &Path) -> CoreError {
    let text = format!(
        "Another target has begun to write to the target volume {} while this one waited, and has not finished.",
        path.display()
    );
    CoreError::new(ErrorKind::Busy, text)
}
