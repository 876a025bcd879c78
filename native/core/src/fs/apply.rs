//! Giving an entry its owner, attributes, ACLs, mode and times, in the order in which none undoes another.
//!
//! The order, from the kernel's own rules:
//! 1. owner: chown clears setuid, setgid and file capabilities (chown(2), `setattr_should_drop_suidgid`);
//! 2. attributes and ACLs: an access ACL rewrites the mode's permission bits, and may clear setgid
//!    (`posix_acl_update_mode`); writing user.* needs write permission by mode, whatever the descriptor (xattr(7));
//! 3. mode, exact, when any of this may have changed it;
//! 4. an NFSv4 ACL, which chmod would rewrite;
//! 5. times, which everything before changes (ctime always; mtime of a directory by its children).
//!
//! Call it after the last byte is written: write(2) clears file capabilities too.

use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::fresh::Fresh;
use super::handle::Handle;
use super::probe::Abilities;
use super::stat::{Kind, Stat, Timestamp};
use super::xattr_policy::{Verdict, classify};
use super::xattrs::{ACL_ACCESS, ACL_DEFAULT, Xattrs};

pub(super) const NFS4_ACL: &[u8] = b"system.nfs4_acl";
const SELINUX: &[u8] = b"security.selinux";
const SETUID: u32 = 0o4000;
const SETGID: u32 = 0o2000;

/// What an entry shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// 07777; meaningless for symbolic links.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: Timestamp,
    pub xattrs: Xattrs,
}

/// Something an entry does not have although it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// "owner", "group", "mode", "times", "acl access", "acl default", "acl nfs4", "xattr user.foo" (lossy when the name
    /// is not UTF-8).
    pub what: String,
    /// None when the system call succeeded and did something else.
    pub errno: Option<Errno>,
    /// What became of it instead; empty when `errno` says all.
    pub detail: String,
}

/// Applies attributes to entries of one file system.
#[derive(Clone, Debug)]
pub struct Applier {
    /// Nanoseconds; a time that is no multiple is read back.
    granularity: u32,
    /// The file system says yes and does nothing: everything is read back.
    suspicious: bool,
    /// The access time has to be set as well.
    both_times: bool,
    keep_selinux: bool,
}

impl Applier {
    /// For the file system whose abilities were probed. `keep_selinux` admits security.selinux.
    pub fn new(abilities: &Abilities, keep_selinux: bool) -> Applier {
        Applier {
            granularity: abilities.time_granularity,
            suspicious: !abilities.honest,
            both_times: !abilities.mtime_alone,
            keep_selinux,
        }
    }

    /// A file or directory that was just made. One call (the times) when nothing else differs from `fresh`.
    pub fn apply_fd(&self, fd: BorrowedFd<'_>, kind: Kind, wanted: &Attributes, fresh: &Fresh) -> Vec<Lost> {
        self.run(Handle::Fd(fd), kind, wanted, fresh)
    }

    /// A symbolic link, FIFO, socket or device that was just made; never followed. `EINVAL` is lost for a bad name.
    pub fn apply_at(
        &self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        kind: Kind,
        wanted: &Attributes,
        fresh: &Fresh,
    ) -> Vec<Lost> {
        self.run(Handle::Entry(directory, name), kind, wanted, fresh)
    }

    /// A file or directory that existed before, such as the volume's root: attributes it has and should not have go.
    pub fn apply_existing(&self, fd: BorrowedFd<'_>, wanted: &Attributes) -> Result<Vec<Lost>, Errno> {
        let present = super::xattrs::read_fd(fd, self.keep_selinux)?.xattrs;
        self.change(Handle::Fd(fd), &super::stat::stat_fd(fd)?, &present, wanted)
    }

    /// The same for an entry of any kind, by name and never followed. `stat` is what it is now.
    pub fn bring(
        &self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        stat: &Stat,
        wanted: &Attributes,
    ) -> Result<Vec<Lost>, Errno> {
        let present = super::xattrs::read_at(directory, name, self.keep_selinux)?.xattrs;
        self.change(Handle::Entry(directory, name), stat, &present, wanted)
    }

    /// What has all that it should have is not touched.
    fn change(
        &self,
        handle: Handle<'_>,
        stat: &Stat,
        present: &Xattrs,
        wanted: &Attributes,
    ) -> Result<Vec<Lost>, Errno> {
        let extra: Vec<&[u8]> = present.iter().map(|(name, _)| name).filter(|name| is_extra(name, wanted)).collect();
        let mode = stat.kind == Kind::Symlink || stat.mode == wanted.mode & 0o7777;
        let kept = mode && (stat.uid, stat.gid, stat.mtime) == (wanted.uid, wanted.gid, wanted.mtime);
        let all = wanted.xattrs.iter().all(|(name, value)| present.get(name) == Some(value));
        if kept && all && extra.is_empty() {
            return Ok(Vec::new());
        }
        let mut lost = Vec::new();
        for name in &extra {
            if let Err(errno) = handle.place()?.remove(name) {
                lost.push(Lost { what: xattr_label(name), errno: Some(errno), detail: "could not be removed".into() });
            }
        }
        let stat = if extra.is_empty() { stat.clone() } else { handle.stat()? };
        // ACLs that should not be there are gone already.
        let fresh = Fresh { acl_inherited: false, ..Fresh::of(&stat) };
        lost.extend(self.run(handle, stat.kind, wanted, &fresh));
        Ok(lost)
    }

    /// Lets the owner of a directory work in it for a while.
    pub fn open_up(&self, directory: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<(), Errno> {
        Handle::Entry(directory, name).chmod(mode)
    }

    /// Times between 1970 and 2038 are kept as they are.
    pub fn keeps_nanoseconds(&self) -> bool {
        self.granularity == 1
    }

    /// What becomes of a modification time in this file system: tried on a file that nobody needs.
    pub fn stored_time(&self, scratch: BorrowedFd<'_>, wanted: Timestamp) -> Result<Timestamp, Errno> {
        let handle = Handle::Fd(scratch);
        handle.set_mtime(wanted, self.both_times)?;
        handle.stat().map(|stat| stat.mtime)
    }

    /// Gives a directory its modification time back after its entries have changed.
    pub fn restore_mtime(&self, fd: BorrowedFd<'_>, mtime: Timestamp) -> Result<(), Errno> {
        Handle::Fd(fd).set_mtime(mtime, self.both_times)
    }

    fn run(&self, handle: Handle<'_>, kind: Kind, wanted: &Attributes, fresh: &Fresh) -> Vec<Lost> {
        let mut work = Work {
            applier: self,
            handle,
            kind,
            wanted,
            fresh,
            mode: wanted.mode & 0o7777,
            lost: Vec::new(),
            mode_touched: false,
        };
        work.owner();
        if fresh.acl_inherited {
            work.drop_inherited_acls();
        }
        if !wanted.xattrs.is_empty() {
            work.xattrs();
        }
        if kind != Kind::Symlink {
            work.mode();
        }
        work.nfs4_acl();
        work.times();
        work.lost
    }
}

/// As [`Applier::restore_mtime`], where nobody has probed the file system.
pub fn restore_mtime(fd: BorrowedFd<'_>, mtime: Timestamp) -> Result<(), Errno> {
    let handle = Handle::Fd(fd);
    handle.set_mtime(mtime, false)?;
    if handle.stat()?.mtime == mtime { Ok(()) } else { handle.set_mtime(mtime, true) }
}

/// One entry on its way.
struct Work<'a> {
    applier: &'a Applier,
    handle: Handle<'a>,
    kind: Kind,
    wanted: &'a Attributes,
    fresh: &'a Fresh,
    /// The mode that the entry shall end with; less than wanted when the owner could not be kept.
    mode: u32,
    /// Something may have changed the mode.
    mode_touched: bool,
    lost: Vec<Lost>,
}

impl Work<'_> {
    fn lose(&mut self, what: impl Into<String>, errno: Errno) {
        self.lost.push(Lost { what: what.into(), errno: Some(errno), detail: String::new() });
    }

    fn differ(&mut self, what: &str, detail: String) {
        self.lost.push(Lost { what: what.to_owned(), errno: None, detail });
    }

    fn owner(&mut self) {
        let uid = (self.wanted.uid != self.fresh.uid).then_some(self.wanted.uid);
        let gid = (self.wanted.gid != self.fresh.gid).then_some(self.wanted.gid);
        if uid.is_none() && gid.is_none() && !self.applier.suspicious {
            return;
        }
        self.mode_touched |= (self.fresh.mode | self.mode) & (SETUID | SETGID) != 0;
        let mut kept = (true, true);
        let changed = if uid.is_none() && gid.is_none() { Ok(()) } else { self.handle.chown(uid, gid) };
        if let Err(errno) = changed {
            // Without CAP_CHOWN the group may still be given, to one of the process's own.
            let group_kept = uid.is_none() || gid.is_none() || self.handle.chown(None, gid).is_ok();
            kept = (uid.is_none(), gid.is_none() || (uid.is_some() && group_kept));
            if !kept.0 {
                self.lose("owner", errno);
            }
            if !kept.1 {
                self.lose("group", errno);
            }
        } else if self.applier.suspicious {
            kept = self.check_owner();
        }
        self.keep_privilege_bits(kept);
    }

    fn check_owner(&mut self) -> (bool, bool) {
        let Ok(stat) = self.handle.stat() else { return (false, false) };
        let kept = (stat.uid == self.wanted.uid, stat.gid == self.wanted.gid);
        if !kept.0 {
            self.differ("owner", format!("the file system made it {}", stat.uid));
        }
        if !kept.1 {
            self.differ("group", format!("the file system made it {}", stat.gid));
        }
        kept
    }

    /// A program must not run as somebody else than in the source. On a directory setgid means inheritance only.
    fn keep_privilege_bits(&mut self, (uid_kept, gid_kept): (bool, bool)) {
        if self.kind == Kind::Directory || self.kind == Kind::Symlink {
            return;
        }
        if !uid_kept && self.mode & SETUID != 0 {
            self.mode &= !SETUID;
            self.differ("mode", "setuid left out, the owner is another one".to_owned());
        }
        if !gid_kept && self.mode & SETGID != 0 {
            self.mode &= !SETGID;
            self.differ("mode", "setgid left out, the group is another one".to_owned());
        }
    }

    fn drop_inherited_acls(&mut self) {
        if self.kind == Kind::Symlink {
            return;
        }
        self.mode_touched = true;
        let place = match self.handle.place() {
            Ok(place) => place,
            Err(errno) => return self.lose("acl access", errno),
        };
        if self.wanted.xattrs.get(ACL_ACCESS).is_none()
            && let Err(errno) = place.remove(ACL_ACCESS)
        {
            self.lose("acl access", errno);
        }
        if self.kind == Kind::Directory
            && self.wanted.xattrs.get(ACL_DEFAULT).is_none()
            && let Err(errno) = place.remove(ACL_DEFAULT)
        {
            self.lose("acl default", errno);
        }
    }

    fn xattrs(&mut self) {
        let place = match self.handle.place() {
            Ok(place) => place,
            Err(errno) => return self.lose("xattrs", errno),
        };
        let wanted = self.wanted;
        for (name, value) in wanted.xattrs.iter().filter(|(name, _)| *name != NFS4_ACL) {
            // The source has left these out already; a hostile one has not.
            if classify(name, self.applier.keep_selinux) != Verdict::Keep {
                self.lose(xattr_label(name), Errno::PERM);
                continue;
            }
            self.mode_touched |= name == ACL_ACCESS;
            let mut set = place.set(name, value);
            if matches!(set, Err(Errno::ACCESS | Errno::PERM)) && self.widen() {
                set = place.set(name, value);
            }
            if let Err(errno) = set {
                self.lose(xattr_label(name), errno);
            }
        }
    }

    /// Lets the owner write, for the time of setting attributes. False when that is no way out.
    fn widen(&mut self) -> bool {
        if self.fresh.mode & 0o200 != 0 || !matches!(self.kind, Kind::File | Kind::Directory) {
            return false;
        }
        self.mode_touched = true;
        self.handle.chmod(self.fresh.mode | 0o200).is_ok()
    }

    fn mode(&mut self) {
        if !self.mode_touched && self.fresh.mode == self.mode && !self.applier.suspicious {
            return;
        }
        if let Err(errno) = self.handle.chmod(self.mode) {
            return self.lose("mode", errno);
        }
        // chmod succeeds and drops setgid for those outside the file's group without CAP_FSETID (chmod(2)).
        if self.mode & (SETUID | SETGID) != 0 || self.applier.suspicious {
            match self.handle.stat() {
                Ok(stat) if stat.mode == self.mode => {}
                Ok(stat) => self.differ("mode", format!("the file system made it {:04o}", stat.mode)),
                Err(errno) => self.lose("mode", errno),
            }
        }
    }

    fn nfs4_acl(&mut self) {
        let wanted = self.wanted;
        if let Some(value) = wanted.xattrs.get(NFS4_ACL)
            && let Err(errno) = self.handle.place().and_then(|place| place.set(NFS4_ACL, value))
        {
            self.lose("acl nfs4", errno);
        }
    }

    fn times(&mut self) {
        let wanted = self.wanted.mtime;
        if let Err(errno) = self.handle.set_mtime(wanted, self.applier.both_times) {
            return self.lose("times", errno);
        }
        // timestamp_truncate() clamps and rounds silently. Every file system holds 1970 to 2038.
        let certain =
            (0..1_i64 << 31).contains(&wanted.seconds) && wanted.nanoseconds.is_multiple_of(self.applier.granularity);
        if certain && !self.applier.suspicious {
            return;
        }
        match self.handle.stat() {
            Ok(stat) if stat.mtime == wanted => {}
            Ok(stat) => {
                let found = stat.mtime;
                self.differ("times", format!("clamped to {}.{:09}", found.seconds, found.nanoseconds));
            }
            Err(errno) => self.lose("times", errno),
        }
    }
}

/// Whether an attribute has to go. A label of the target's own host stays unless the source sends one.
pub(super) fn is_extra(name: &[u8], wanted: &Attributes) -> bool {
    wanted.xattrs.get(name).is_none() && name != NFS4_ACL && name != SELINUX
}

fn xattr_label(name: &[u8]) -> String {
    match name {
        ACL_ACCESS => "acl access".to_owned(),
        ACL_DEFAULT => "acl default".to_owned(),
        NFS4_ACL => "acl nfs4".to_owned(),
        other => format!("xattr {}", String::from_utf8_lossy(other)),
    }
}
