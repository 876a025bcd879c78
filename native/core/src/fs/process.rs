//! Who this process is, as the kernel sees it.

use rustix::io::Errno;

/// Ids, umask and effective capabilities, read once from /proc/self/status (proc_pid_status(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIds {
    /// The file-system uid: owner of what this process makes.
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    pub umask: u32,
    /// Bits as in linux/capability.h.
    pub capabilities: u64,
}

pub const CAP_CHOWN: u32 = 0;
pub const CAP_DAC_OVERRIDE: u32 = 1;
pub const CAP_DAC_READ_SEARCH: u32 = 2;
pub const CAP_FOWNER: u32 = 3;
pub const CAP_FSETID: u32 = 4;
pub const CAP_SYS_ADMIN: u32 = 21;
pub const CAP_SYS_RESOURCE: u32 = 24;
pub const CAP_MKNOD: u32 = 27;
pub const CAP_SETFCAP: u32 = 31;

impl ProcessIds {
    /// Reads /proc/self/status. Errors are those of reading it; `EIO` when it does not look as documented.
    pub fn read() -> Result<ProcessIds, Errno> {
        let text = std::fs::read_to_string("/proc/self/status")
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        parse(&text).ok_or(Errno::IO)
    }

    /// Whether a capability of the `CAP_*` numbers is effective.
    pub fn can(&self, capability: u32) -> bool {
        self.capabilities & (1 << capability) != 0
    }
}

fn parse(text: &str) -> Option<ProcessIds> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    // Uid and Gid: real, effective, saved, file system.
    let fourth = |name: &str| field(name)?.split_ascii_whitespace().nth(3)?.parse().ok();
    let groups = field("Groups")?.split_ascii_whitespace().map(|group| group.parse().ok());
    Some(ProcessIds {
        uid: fourth("Uid")?,
        gid: fourth("Gid")?,
        groups: groups.collect::<Option<_>>()?,
        umask: u32::from_str_radix(field("Umask")?, 8).ok()?,
        capabilities: u64::from_str_radix(field("CapEff")?, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_that_count() {
        let text =
            "Name:\tx\nUmask:\t0027\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t0 2000 \nCapEff:\t0000000000000003\n";
        let ids = parse(text).expect("the text is complete");
        assert_eq!((ids.uid, ids.gid, ids.umask), (4, 8, 0o27));
        assert_eq!(ids.groups, [0, 2000]);
        assert!(ids.can(CAP_CHOWN) && !ids.can(CAP_FOWNER));
        assert_eq!(parse("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_has_ids() {
        let ids = ProcessIds::read().expect("/proc/self/status is readable");
        assert_eq!(ids.uid, rustix::process::geteuid().as_raw());
    }
}
