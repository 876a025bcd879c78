//! What a target may do with what its volume holds already.

use std::path::Path;

use crate::error::{CoreError, ErrorKind};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// The volume has to be empty, or hold this transfer's own.
    #[default]
    Refuse,
    /// What differs is replaced, what the source does not have stays.
    Update,
    /// What the source does not have is removed as well.
    Mirror,
}

/// Refuses to mirror a source that has nothing at its root onto a target that has something there: more often than not
/// the source is not mounted. Neither number includes pvferry's own folder and lost+found.
pub fn check_empty_source(
    volume: &Path,
    existing: Existing,
    allowed: bool,
    source_entries: u64,
    target_entries: u64,
) -> Result<(), CoreError> {
    if existing != Existing::Mirror || allowed || source_entries > 0 || target_entries == 0 {
        return Ok(());
    }
    let entries = if target_entries == 1 { "1 entry".to_owned() } else { format!("{target_entries} entries") };
    let text = format!(
        "The source volume is empty (is it mounted?), and mirroring it would remove all that the target volume {} holds, \
         {entries} at its root: nothing was removed. --allow-empty-source says that this is meant.",
        volume.display(),
    );
    Err(CoreError::new(ErrorKind::Limit, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_source_mirrored_onto_something_is_refused() {
        let check = |existing, allowed, source, target| {
            check_empty_source(Path::new("/data"), existing, allowed, source, target)
        };
        let error = check(Existing::Mirror, false, 0, 7).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit);
        assert!(error.message.contains("/data holds, 7 entries"), "{}", error.message);
        assert!(error.message.contains("--allow-empty-source"), "{}", error.message);
        assert_eq!(check(Existing::Mirror, true, 0, 7), Ok(()));
        assert_eq!(check(Existing::Mirror, false, 1, 7), Ok(()));
        assert_eq!(check(Existing::Mirror, false, 0, 0), Ok(()));
        assert_eq!(check(Existing::Update, false, 0, 7), Ok(()));
        assert_eq!(check(Existing::Refuse, false, 0, 7), Ok(()));
    }
}
