//! Which extended attributes travel.
//!
//! A volume's attributes are the application's, except for those that a security module, a file system or a storage
//! layer of the source's host keeps for itself. Those are left out and counted; the table says why.

/// What happens to an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    /// Not copied, counted under a label.
    LeaveOut(LeftOut),
    /// The same thing is visible under another name, which is kept: neither copied nor counted.
    Duplicate,
}

/// Why an attribute was left out: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut(u8);

impl LeftOut {
    /// The kind under which a receipt counts it, such as `security.ima` or `trusted.overlay.*`.
    pub fn label(self) -> &'static str {
        RULES[usize::from(self.0)].pattern
    }

    pub fn reason(self) -> &'static str {
        RULES[usize::from(self.0)].reason
    }
}

/// A set of [`LeftOut`] without allocation: on hosts with SELinux every entry has one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOutSet(u64);

impl LeftOutSet {
    pub fn insert(&mut self, row: LeftOut) {
        self.0 |= 1 << row.0;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = LeftOut> {
        (0..RULES.len() as u8).filter(move |row| self.0 >> row & 1 != 0).map(LeftOut)
    }
}

enum Action {
    Keep,
    LeaveOut,
    Duplicate,
    /// Kept only when asked for.
    Selinux,
}

struct Rule {
    /// Exact, or a prefix when it ends with `*`.
    pattern: &'static str,
    action: Action,
    reason: &'static str,
}

const fn rule(pattern: &'static str, action: Action, reason: &'static str) -> Rule {
    Rule { pattern, action, reason }
}

const STORAGE: &str = "bookkeeping of the storage below, wrong on any other";

/// The first matching row decides; the last one matches everything.
const RULES: &[Rule] = &[
    rule("user.*", Action::Keep, "the application's own"),
    rule("system.posix_acl_access", Action::Keep, "the POSIX access ACL"),
    rule("system.posix_acl_default", Action::Keep, "the POSIX default ACL"),
    rule("system.nfs4_acl", Action::Keep, "the NFSv4 ACL"),
    rule("system.nfs4_dacl", Action::Duplicate, "part of system.nfs4_acl (NFSv4.1)"),
    rule("system.nfs4_sacl", Action::Duplicate, "part of system.nfs4_acl (NFSv4.1)"),
    rule("system.*", Action::LeaveOut, "an interface of one file system, not data of the file"),
    rule("security.capability", Action::Keep, "file capabilities"),
    rule(
        "security.selinux",
        Action::Selinux,
        "label by the source host's policy; the target's CSI or kubelet relabels",
    ),
    rule("security.ima", Action::LeaveOut, "measurement or signature made by and for the source's host"),
    rule("security.evm", Action::LeaveOut, "keyed to the source's host, its inode numbers and file-system UUID"),
    rule("security.SMACK64*", Action::LeaveOut, "label by the source host's policy"),
    rule("security.apparmor", Action::LeaveOut, "label by the source host's policy"),
    rule("security.*", Action::Keep, "unknown here, possibly the application's (Samba keeps security.NTACL)"),
    rule("trusted.overlay.*", Action::LeaveOut, "overlayfs's notes on a lower layer that is not there"),
    rule("trusted.SGI_ACL_*", Action::Duplicate, "how XFS stores the POSIX ACLs, seen by root as attributes as well"),
    rule("trusted.gfid*", Action::LeaveOut, STORAGE),
    rule("trusted.pgfid.*", Action::LeaveOut, STORAGE),
    rule("trusted.glusterfs.*", Action::LeaveOut, STORAGE),
    rule("trusted.afr.*", Action::LeaveOut, STORAGE),
    rule("trusted.ec.*", Action::LeaveOut, STORAGE),
    rule("trusted.bit-rot.*", Action::LeaveOut, STORAGE),
    rule("trusted.lov", Action::LeaveOut, STORAGE),
    rule("trusted.lma", Action::LeaveOut, STORAGE),
    rule("trusted.lmv", Action::LeaveOut, STORAGE),
    rule("trusted.link", Action::LeaveOut, STORAGE),
    rule("trusted.fid", Action::LeaveOut, STORAGE),
    rule("trusted.hsm", Action::LeaveOut, STORAGE),
    rule("trusted.som", Action::LeaveOut, STORAGE),
    rule("trusted.version", Action::LeaveOut, STORAGE),
    rule("trusted.*", Action::Keep, "the application's own, written as root"),
    rule("glusterfs.*", Action::LeaveOut, STORAGE),
    rule("lustre.*", Action::LeaveOut, STORAGE),
    rule("ceph.*", Action::LeaveOut, STORAGE),
    rule("btrfs.*", Action::LeaveOut, "how btrfs stores the file (compression), not what is in it"),
    rule("bcachefs*", Action::LeaveOut, "how bcachefs stores the file, not what is in it"),
    rule("afs.*", Action::LeaveOut, STORAGE),
    rule("cifs.*", Action::LeaveOut, STORAGE),
    rule("*", Action::LeaveOut, "a namespace that only its own file system knows"),
];

// A LeftOutSet is one u64.
const _: () = assert!(RULES.len() <= 64);

/// Looks a name up in the table.
pub fn classify(name: &[u8], keep_selinux: bool) -> Verdict {
    // Nearly all attributes are one of these two.
    if name.starts_with(b"user.") {
        return Verdict::Keep;
    }
    let row = RULES.iter().position(|rule| matches(rule.pattern.as_bytes(), name)).unwrap_or(RULES.len() - 1);
    match RULES[row].action {
        Action::Keep => Verdict::Keep,
        Action::Selinux if keep_selinux => Verdict::Keep,
        Action::Duplicate => Verdict::Duplicate,
        Action::LeaveOut | Action::Selinux => Verdict::LeaveOut(LeftOut(row as u8)),
    }
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.strip_suffix(b"*") {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str) -> &'static str {
        match classify(name.as_bytes(), false) {
            Verdict::Keep => "keep",
            Verdict::Duplicate => "duplicate",
            Verdict::LeaveOut(row) => row.label(),
        }
    }

    #[test]
    fn the_table_decides() {
        for (name, expected) in [
            ("user.a", "keep"),
            ("trusted.mine", "keep"),
            ("security.capability", "keep"),
            ("security.NTACL", "keep"),
            ("system.posix_acl_access", "keep"),
            ("system.posix_acl_default", "keep"),
            ("system.nfs4_acl", "keep"),
            ("system.nfs4_dacl", "duplicate"),
            ("system.cifs_acl", "system.*"),
            ("security.selinux", "security.selinux"),
            ("security.ima", "security.ima"),
            ("security.evm", "security.evm"),
            ("security.SMACK64EXEC", "security.SMACK64*"),
            ("trusted.overlay.opaque", "trusted.overlay.*"),
            ("trusted.overlayish", "keep"),
            ("trusted.gfid", "trusted.gfid*"),
            ("trusted.glusterfs.dht", "trusted.glusterfs.*"),
            ("trusted.SGI_ACL_FILE", "duplicate"),
            ("ceph.dir.layout", "ceph.*"),
            ("btrfs.compression", "btrfs.*"),
            ("made.up", "*"),
        ] {
            assert_eq!(label(name), expected, "{name}");
        }
        assert_eq!(classify(b"security.selinux", true), Verdict::Keep);
    }

    #[test]
    fn a_set_gives_back_what_went_in() {
        let mut set = LeftOutSet::default();
        for name in [&b"security.ima"[..], b"btrfs.compression", b"security.ima"] {
            if let Verdict::LeaveOut(row) = classify(name, false) {
                set.insert(row);
            }
        }
        let labels: Vec<_> = set.iter().map(LeftOut::label).collect();
        assert_eq!(labels, ["security.ima", "btrfs.*"]);
    }

    #[test]
    fn no_row_hides_a_later_one() {
        for (index, later) in RULES.iter().enumerate() {
            let example = later.pattern.replace('*', "x").into_bytes();
            let first = RULES.iter().position(|rule| matches(rule.pattern.as_bytes(), &example));
            assert_eq!(first, Some(index), "{}", later.pattern);
            assert!(!later.reason.is_empty());
        }
    }
}
