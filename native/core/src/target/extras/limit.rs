//! `--max-delete`: how much of what the target holds may be removed.

use std::fmt;
use std::path::Path;

use crate::error::{CoreError, ErrorKind};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaxDelete {
    #[default]
    Unlimited,
    Entries(u64),
    /// Of the entries that the target had before, in hundredths of a percent.
    Share(u32),
}

impl MaxDelete {
    pub fn is_unlimited(self) -> bool {
        self == Self::Unlimited
    }

    /// How many entries of a target that had `before` may be removed. Rounded down.
    pub fn most(self, before: u64) -> u64 {
        match self {
            Self::Unlimited => u64::MAX,
            Self::Entries(most) => most,
            Self::Share(hundredths) => {
                let most = u128::from(before) * u128::from(hundredths) / 10_000;
                u64::try_from(most).unwrap_or(u64::MAX)
            }
        }
    }
}

/// As the flag takes it.
impl fmt::Display for MaxDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Entries(most) => write!(f, "{most}"),
            Self::Share(hundredths) => {
                let digits = format!("{}.{:02}", hundredths / 100, hundredths % 100);
                write!(f, "{}%", digits.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// Refuses to remove `all` entries of a target that had `before`, if that is more than the limit allows; `done` says what
/// has been removed nevertheless.
pub fn check_deletions(volume: &Path, limit: MaxDelete, all: u64, before: u64, done: &str) -> Result<(), CoreError> {
    let most = limit.most(before);
    if all <= most {
        return Ok(());
    }
    let share = if matches!(limit, MaxDelete::Share(_)) { format!(" ({most} of {before})") } else { String::new() };
    let entries = if all == 1 { "1 entry".to_owned() } else { format!("{all} entries") };
    let text = format!(
        "The target volume {} holds {entries} that the source does not have, and --max-delete {limit} allows fewer to \
         be removed{share}: {done}.",
        volume.display(),
    );
    Err(CoreError::new(ErrorKind::Limit, text))
}

#[cfg(test)]
mod tests {
    use super::MaxDelete;

    #[test]
    fn a_share_is_rounded_down_and_never_overflows() {
        assert_eq!(MaxDelete::Share(500).most(1_000), 50);
        assert_eq!(MaxDelete::Share(500).most(19), 0);
        assert_eq!(MaxDelete::Share(1).most(10_000), 1);
        assert_eq!(MaxDelete::Share(10_000).most(u64::MAX), u64::MAX);
        assert_eq!(MaxDelete::Entries(7).most(3), 7);
        assert_eq!(MaxDelete::Unlimited.most(0), u64::MAX);
    }

    #[test]
    fn it_is_shown_as_it_was_typed() {
        let shown: Vec<String> = [500, 1_250, 1, 10_000, 0].map(|share| MaxDelete::Share(share).to_string()).into();
        assert_eq!(shown, ["5%", "12.5%", "0.01%", "100%", "0%"]);
        assert_eq!(MaxDelete::Entries(12_345).to_string(), "12345");
    }
}
