//! What a file system makes of a modification time, by what is known of its kind: for whoever may not try it.

use super::stat::{Stat, Timestamp};

/// Nanoseconds of one step. The sources: Linux's `sb->s_time_gran` of each file system, and fat(5) for the two seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTime(u64);

const SECOND: u64 = 1_000_000_000;

impl StoredTime {
    /// `filesystem` as [`super::space::Space`] names it, `root` any inode of it.
    pub fn of(filesystem: &str, root: &Stat) -> Self {
        Self(match filesystem.split('.').next().unwrap_or(filesystem) {
            "vfat" | "msdos" => 2 * SECOND,
            "exfat" => SECOND / 100,
            "ntfs" | "ntfs3" => 100,
            // Inodes of 128 bytes have room neither for nanoseconds nor for a birth time.
            "ext2" | "ext3" | "ext4" if !root.has_birth_time => SECOND,
            "hfs" | "hfsplus" => SECOND,
            _ => 1,
        })
    }

    /// Whether `found` is what becomes of `wanted`, which is cut off to whole steps. Times that the file system cannot
    /// hold at all, before 1901 and after 2038 on some, are never the same.
    pub fn is(self, found: Timestamp, wanted: Timestamp) -> bool {
        found == wanted || (self.0 > 1 && found == self.cut(wanted))
    }

    fn cut(self, time: Timestamp) -> Timestamp {
        let step = i128::from(self.0);
        let exact = i128::from(time.seconds) * i128::from(SECOND) + i128::from(time.nanoseconds);
        let whole = exact.div_euclid(step) * step;
        Timestamp {
            seconds: i64::try_from(whole.div_euclid(i128::from(SECOND))).unwrap_or(time.seconds),
            nanoseconds: u32::try_from(whole.rem_euclid(i128::from(SECOND))).unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64, nanoseconds: u32) -> Timestamp {
        Timestamp { seconds, nanoseconds }
    }

    #[test]
    fn times_are_cut_off_to_whole_steps() {
        let fat = StoredTime(2 * SECOND);
        assert!(fat.is(time(1_000, 0), time(1_001, 999_999_999)));
        assert!(!fat.is(time(1_002, 0), time(1_001, 999_999_999)));
        let second = StoredTime(SECOND);
        assert!(second.is(time(-1, 0), time(-1, 500_000_000)), "before 1970 nanoseconds count forward too");
        assert!(!second.is(time(5, 1), time(5, 2)));
        assert!(!StoredTime(1).is(time(5, 0), time(5, 1)));
        assert!(StoredTime(100).is(time(5, 300), time(5, 399)));
    }
}
