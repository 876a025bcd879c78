//! What a new entry has before anything is set: owner, group, mode, perhaps an ACL.
//!
//! Knowing it saves the calls that would set what is there already: most files of most volumes need none but the times.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::stat::{Stat, stat_fd};
use super::xattrs::{ACL_DEFAULT, exists_fd};

/// How the target's file system makes entries for this process; measured once by `probe`, never assumed: NFS squashes
/// root, FUSE file systems invent owners, and mounts with `grpid` give the directory's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    pub uid: u32,
    pub gid: u32,
    /// Every new entry gets its directory's group, as on BSD.
    pub group_of_directory: bool,
    pub umask: u32,
}

/// The state of an entry before `Applier` works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
    /// `mode` is a guess: there may be an ACL from the directory's default ACL.
    pub acl_inherited: bool,
}

impl Fresh {
    /// An entry whose history is not known: what it has now, and possibly ACLs.
    pub fn of(stat: &Stat) -> Fresh {
        Fresh { uid: stat.uid, gid: stat.gid, mode: stat.mode, acl_inherited: true }
    }
}

/// What entries made in one directory look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshRule {
    uid: u32,
    gid: u32,
    umask: u32,
    setgid: bool,
    group_of_directory: bool,
    inherits_acl: bool,
}

impl FreshRule {
    /// For a directory this process made itself, below one with the rule `self`: no call at all.
    ///
    /// It holds only as long as the directory's own attributes have not been set.
    pub fn below(&self) -> FreshRule {
        *self
    }

    /// For a directory as it is now; two calls.
    pub fn of(directory: BorrowedFd<'_>, creation: &Creation) -> Result<FreshRule, Errno> {
        let stat = stat_fd(directory)?;
        let setgid = stat.mode & 0o2000 != 0;
        Ok(FreshRule {
            uid: creation.uid,
            gid: if setgid || creation.group_of_directory { stat.gid } else { creation.gid },
            umask: creation.umask,
            setgid,
            group_of_directory: creation.group_of_directory,
            inherits_acl: exists_fd(directory, ACL_DEFAULT)?,
        })
    }

    /// A file, FIFO, socket or device made with this mode; of it only permission bits count.
    pub fn file(&self, mode: u32) -> Fresh {
        let mode = mode & 0o777 & !self.umask;
        Fresh { uid: self.uid, gid: self.gid, mode, acl_inherited: self.inherits_acl }
    }

    /// A directory made with 0700; one below a setgid directory is setgid itself (inode(7)).
    pub fn directory(&self) -> Fresh {
        let mode = (0o700 & !self.umask) | if self.setgid { 0o2000 } else { 0 };
        // Under `grpid` ext4 does not pass setgid on and XFS does: a guess.
        let guess = self.setgid && self.group_of_directory;
        Fresh { uid: self.uid, gid: self.gid, mode, acl_inherited: self.inherits_acl || guess }
    }

    /// A symbolic link: 0777 whatever the umask, never an ACL.
    pub fn symlink(&self) -> Fresh {
        Fresh { uid: self.uid, gid: self.gid, mode: 0o777, acl_inherited: false }
    }
}
