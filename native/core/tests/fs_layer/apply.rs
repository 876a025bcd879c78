use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

use pvferry_core::fs::Errno;
use pvferry_core::fs::apply::{Applier, Attributes, Lost};
use pvferry_core::fs::fresh::{Fresh, FreshRule};
use pvferry_core::fs::make;
use pvferry_core::fs::open::Opener;
use pvferry_core::fs::probe::{Abilities, probe};
use pvferry_core::fs::process::ProcessIds;
use pvferry_core::fs::stat::{Kind, Timestamp, stat_at, stat_fd};
use pvferry_core::fs::xattrs::{ACL_ACCESS, ACL_DEFAULT, Xattrs, read_fd};

use crate::bed::{self, Bed, fd};

const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// u::rw-, u:4000000000:rwx, g::r--, m::rwx, o::---: what a file of mode 0670 may have.
const ACL: [u8; 44] = [
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 7, 0, 0, 0x28, 0x6b, 0xee, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0,
    7, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];

struct Target {
    root: OwnedFd,
    opener: Opener,
    abilities: Abilities,
    applier: Applier,
}

fn target(bed: &Bed) -> Target {
    let (root, opener) = (bed.root(), Opener::new(false));
    let abilities = probe(&opener, fd(&root), &ProcessIds::read().unwrap()).unwrap();
    let applier = Applier::new(&abilities, false);
    Target { root, opener, abilities, applier }
}

impl Target {
    fn rule(&self) -> FreshRule {
        FreshRule::of(fd(&self.root), &self.abilities.creation).unwrap()
    }

    /// Makes a file and gives it these attributes.
    fn file(&self, name: &str, wanted: &Attributes) -> Vec<Lost> {
        let file = self.opener.create_file(fd(&self.root), name.as_bytes(), wanted.mode).unwrap();
        self.applier.apply_fd(fd(&file), Kind::File, wanted, &self.rule().file(wanted.mode))
    }

    fn directory(&self, name: &str, wanted: &Attributes) -> Vec<Lost> {
        let made = self.opener.make_directory(fd(&self.root), name.as_bytes()).unwrap();
        self.applier.apply_fd(fd(&made), Kind::Directory, wanted, &self.rule().directory())
    }

    fn check(&self, name: &str, wanted: &Attributes) {
        let stat = stat_at(fd(&self.root), name.as_bytes()).unwrap();
        assert_eq!((stat.mode, stat.uid, stat.gid), (wanted.mode, wanted.uid, wanted.gid), "{name} {:o}", stat.mode);
        assert_eq!(stat.mtime, wanted.mtime, "{name}");
        let reading = pvferry_core::fs::xattrs::read_at(fd(&self.root), name.as_bytes(), false).unwrap();
        assert_eq!(reading.xattrs, wanted.xattrs, "{name}");
    }
}

fn xattrs(pairs: &[(&[u8], &[u8])]) -> Xattrs {
    Xattrs::from_pairs(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
}

fn plain(mode: u32) -> Attributes {
    let mtime = Timestamp { seconds: 1_234_567_890, nanoseconds: 987_654_321 };
    Attributes { mode, uid: 0, gid: 0, mtime, xattrs: Xattrs::new() }
}

/// Everything at once, on files and directories: each would undo another in a wrong order.
#[test]
fn everything_is_kept_on_files_and_directories() {
    bed::each(|bed| {
        if bed.kind == "tmp" {
            return;
        }
        let target = target(bed);
        let all = xattrs(&[
            (b"security.capability", &CAPABILITY),
            (b"system.posix_acl_access", &ACL),
            (b"trusted.t", b"1"),
            (b"user.u", b"2"),
        ]);
        for (index, (mode, uid, gid)) in
            [(0o6670, 4_294_967_294, 4_294_967_294), (0o1670, 0, 7), (0o0670, 5, 0)].into_iter().enumerate()
        {
            let wanted = Attributes { uid, gid, xattrs: all.clone(), ..plain(mode) };
            let name = format!("file{index}");
            assert_eq!(target.file(&name, &wanted), []);
            target.check(&name, &wanted);
            let mut directory = wanted.clone();
            directory.xattrs = xattrs(&[(ACL_ACCESS, &ACL), (ACL_DEFAULT, &ACL), (b"user.u", b"2")]);
            let name = format!("directory{index}");
            assert_eq!(target.directory(&name, &directory), []);
            target.check(&name, &directory);
        }
    });
}

#[test]
fn every_mode_is_exact() {
    bed::each(|bed| {
        if !bed::is_root() {
            return;
        }
        let target = target(bed);
        for mode in (0..0o10000).step_by(0o111).chain([0o7777, 0, 0o4000, 0o2000, 0o1000]) {
            for (uid, gid) in [(0, 0), (12345, 678)] {
                let wanted = Attributes { uid, gid, ..plain(mode) };
                let (file, folder) = (format!("f{mode}-{uid}"), format!("d{mode}-{uid}"));
                if bed.join(&file).exists() {
                    continue;
                }
                assert_eq!(target.file(&file, &wanted), []);
                target.check(&file, &wanted);
                assert_eq!(target.directory(&folder, &wanted), []);
                target.check(&folder, &wanted);
            }
        }
    });
}

/// An immutable file refuses every change: what is lost is what was tried.
#[test]
fn a_fresh_file_costs_one_call() {
    bed::with_mount("ext4", "defaults", |bed| {
        let target = target(bed);
        let wanted = plain(0o644);
        let file = target.opener.create_file(fd(&target.root), b"file", 0o644).unwrap();
        let path = bed.join("file");
        assert!(bed::run("chattr", &["+i", path.to_str().unwrap()]));
        let lost = target.applier.apply_fd(fd(&file), Kind::File, &wanted, &target.rule().file(0o644));
        assert_eq!(lost.iter().map(|lost| lost.what.as_str()).collect::<Vec<_>>(), ["times"]);
        let other = Attributes { uid: 1, gid: 2, xattrs: xattrs(&[(b"user.x", b"")]), ..plain(0o600) };
        let lost = target.applier.apply_fd(fd(&file), Kind::File, &other, &target.rule().file(0o644));
        let what: Vec<_> = lost.iter().map(|lost| (lost.what.as_str(), lost.errno)).collect();
        let refused = Some(Errno::PERM);
        let all = ["owner", "group", "xattr user.x", "mode", "times"];
        assert_eq!(what, all.map(|what| (what, refused)));
        assert!(bed::run("chattr", &["-i", path.to_str().unwrap()]));
    });
}

/// Nothing but the mode that is asked for says how an entry ends, whatever an ACL or the kernel makes of it meanwhile.
#[test]
fn the_mode_has_the_last_word() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let target = target(bed);
        let contradiction = Attributes { xattrs: xattrs(&[(ACL_ACCESS, &ACL)]), ..plain(0o640) };
        assert_eq!(target.file("acl", &contradiction), []);
        assert_eq!(stat_at(fd(&target.root), b"acl").unwrap().mode, 0o640);

        let file = bed.file("setuid", b"");
        std::fs::set_permissions(bed.join("setuid"), PermissionsExt::from_mode(0o6755)).unwrap();
        let fresh = Fresh { uid: 0, gid: 0, mode: 0o6755, acl_inherited: false };
        let wanted = Attributes { uid: 5, ..plain(0o6755) };
        assert_eq!(target.applier.apply_fd(fd(&file), Kind::File, &wanted, &fresh), []);
        target.check("setuid", &wanted);
    });
}

/// A file system that says yes and does nothing is found out entry by entry, and an honest one is not accused.
#[test]
fn everything_is_read_back_where_nothing_is_believed() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let target = target(bed);
        let abilities = Abilities { honest: false, ..target.abilities };
        let applier = Applier::new(&abilities, false);
        let wanted = Attributes { uid: 5, gid: 6, ..plain(0o640) };
        let file = target.opener.create_file(fd(&target.root), b"file", 0o640).unwrap();
        assert_eq!(applier.apply_fd(fd(&file), Kind::File, &wanted, &target.rule().file(0o640)), []);
        // As if the calls had done nothing: what is foretold is what is wanted, and wrong.
        let other = Attributes { uid: 7, gid: 8, ..plain(0o600) };
        let fresh = Fresh { uid: 7, gid: 8, mode: 0o600, acl_inherited: false };
        let lost = applier.apply_fd(fd(&file), Kind::File, &other, &fresh);
        let what: Vec<_> = lost.iter().map(|lost| lost.what.as_str()).collect();
        assert_eq!(what, ["owner", "group"]);
    });
}

#[test]
fn inherited_acls_do_not_stay() {
    bed::each(|bed| {
        let target = target(bed);
        if target.abilities.acls.is_some() || !bed::is_root() {
            return;
        }
        let path = bed.path.to_str().unwrap();
        assert!(bed::run("setfacl", &["-d", "-m", "u:7:rwx,g::rwx,o::rwx", path]));
        for mode in [0o600, 0o644, 0o751] {
            let wanted = plain(mode);
            assert_eq!(target.file(&format!("file{mode}"), &wanted), []);
            target.check(&format!("file{mode}"), &wanted);
            assert_eq!(target.directory(&format!("folder{mode}"), &wanted), []);
            target.check(&format!("folder{mode}"), &wanted);
            let with_acl = Attributes { xattrs: xattrs(&[(ACL_ACCESS, &ACL)]), ..plain(0o670) };
            assert_eq!(target.directory(&format!("acl{mode}"), &with_acl), []);
            target.check(&format!("acl{mode}"), &with_acl);
        }
        make::node(fd(&target.root), b"fifo", Kind::Fifo, 0o640, (0, 0)).unwrap();
        let wanted = plain(0o640);
        let lost = target.applier.apply_at(fd(&target.root), b"fifo", Kind::Fifo, &wanted, &target.rule().file(0o640));
        assert_eq!(lost, []);
        target.check("fifo", &wanted);
    });
}

#[test]
fn links_and_special_entries_get_their_own_attributes() {
    bed::each(|bed| {
        if bed.kind == "tmp" {
            return;
        }
        let target = target(bed);
        let root = fd(&target.root);
        bed.file("pointed-to", b"");
        let before = stat_at(root, b"pointed-to").unwrap();
        let mtime = Timestamp { seconds: -1_000_000_000, nanoseconds: 1 };
        let own = xattrs(&[(b"trusted.own", b"1")]);
        make::symlink(root, b"link", b"pointed-to").unwrap();
        let wanted = Attributes { mode: 0o777, uid: 11, gid: 12, mtime, xattrs: own.clone() };
        let lost = target.applier.apply_at(root, b"link", Kind::Symlink, &wanted, &target.rule().symlink());
        assert_eq!(lost, []);
        target.check("link", &wanted);
        assert_eq!(stat_at(root, b"pointed-to").unwrap(), before);
        for (name, kind) in
            [("fifo", Kind::Fifo), ("socket", Kind::Socket), ("char", Kind::CharDevice), ("block", Kind::BlockDevice)]
        {
            let wanted = Attributes { mode: 0o6754, uid: 11, gid: 12, mtime, xattrs: own.clone() };
            make::node(root, name.as_bytes(), kind, wanted.mode, (259, 262_143)).unwrap();
            let fresh = target.rule().file(wanted.mode);
            assert_eq!(target.applier.apply_at(root, name.as_bytes(), kind, &wanted, &fresh), []);
            target.check(name, &wanted);
            let stat = stat_at(root, name.as_bytes()).unwrap();
            assert_eq!(stat.kind, kind);
            if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
                // XFS refuses minors beyond 18 bits.
                assert_eq!((stat.rdev_major, stat.rdev_minor), (259, 262_143));
            }
        }
    });
}

#[test]
fn a_link_put_in_place_of_an_entry_is_not_followed() {
    let bed = bed::plain();
    let target = target(&bed);
    bed.file("victim", b"");
    std::fs::set_permissions(bed.join("victim"), PermissionsExt::from_mode(0o600)).unwrap();
    let before = stat_at(fd(&target.root), b"victim").unwrap();
    make::symlink(fd(&target.root), b"fifo", b"victim").unwrap();
    let wanted = Attributes { xattrs: xattrs(&[(b"user.evil", b"")]), ..plain(0o4777) };
    let lost = target.applier.apply_at(fd(&target.root), b"fifo", Kind::Fifo, &wanted, &target.rule().file(0o600));
    assert!(lost.iter().any(|lost| lost.what == "mode" && lost.errno == Some(Errno::LOOP)), "{lost:?}");
    assert_eq!(stat_at(fd(&target.root), b"victim").unwrap(), before);
}

#[test]
fn times_of_every_century_are_kept_or_reported() {
    bed::each(|bed| {
        if !bed::is_root() {
            return;
        }
        let target = target(bed);
        for (index, seconds) in
            [-2_208_988_800, -1, 0, 1 << 31, 1 << 32, 4_310_000_000, 20_000_000_000].into_iter().enumerate()
        {
            for nanoseconds in [0, 1, 999_999_999] {
                let wanted = Attributes { mtime: Timestamp { seconds, nanoseconds }, ..plain(0o644) };
                let name = format!("{index}-{nanoseconds}");
                let lost = target.file(&name, &wanted);
                let found = stat_at(fd(&target.root), name.as_bytes()).unwrap().mtime;
                if found == wanted.mtime {
                    assert_eq!(lost, []);
                } else {
                    assert_eq!(lost.len(), 1, "{seconds}");
                    assert_eq!((lost[0].what.as_str(), lost[0].errno), ("times", None));
                    assert_eq!(lost[0].detail, format!("clamped to {}.{:09}", found.seconds, found.nanoseconds));
                    // What the kernel's own limits say: ext4's small inodes and xfs's bigtime end before 2603.
                    assert!(["ext4", "xfs", "tmp"].contains(&bed.kind) && !(-1 << 31..1 << 33).contains(&seconds));
                }
            }
        }
        let bad = Attributes { mtime: Timestamp { seconds: 0, nanoseconds: 1_000_000_000 }, ..plain(0o644) };
        assert_eq!(target.file("bad", &bad)[0].errno, Some(Errno::INVAL));
    });
}

#[test]
fn a_hostile_source_cannot_set_what_is_not_kept() {
    bed::with_mount("tmpfs", "defaults", |bed| {
        let target = target(bed);
        let evil = xattrs(&[(b"security.selinux", b"x"), (b"trusted.overlay.redirect", b"/etc"), (b"user.fine", b"")]);
        let lost = target.file("file", &Attributes { xattrs: evil, ..plain(0o644) });
        let what: Vec<_> = lost.iter().map(|lost| lost.what.as_str()).collect();
        assert_eq!(what, ["xattr security.selinux", "xattr trusted.overlay.redirect"]);
        let nobody = Attributes { uid: u32::MAX, ..plain(0o644) };
        assert_eq!(target.file("nobody", &nobody)[0].errno, Some(Errno::INVAL));
        let selinux = Attributes { xattrs: xattrs(&[(b"security.selinux", b"x")]), ..plain(0o644) };
        let file = target.opener.create_file(fd(&target.root), b"selinux", 0o644).unwrap();
        let asked = Applier::new(&target.abilities, true);
        assert_eq!(asked.apply_fd(fd(&file), Kind::File, &selinux, &target.rule().file(0o644)), []);
    });
}

#[test]
fn what_does_not_fit_is_lost_by_name_and_the_rest_is_kept() {
    bed::with_mount("ext4", "defaults", |bed| {
        let target = target(bed);
        let large = vec![1; 60_000];
        let some = xattrs(&[(b"user.large", &large), (b"user.small", b"1")]);
        let wanted = Attributes { xattrs: some, uid: 3, ..plain(0o640) };
        let lost = target.file("file", &wanted);
        assert_eq!(lost.len(), 1);
        assert_eq!((lost[0].what.as_str(), lost[0].errno), ("xattr user.large", Some(Errno::NOSPC)));
        target.check("file", &Attributes { xattrs: xattrs(&[(b"user.small", b"1")]), ..wanted });
    });
}

#[test]
fn a_root_that_was_there_before_ends_like_the_source() {
    bed::each(|bed| {
        if bed.kind == "tmp" {
            return;
        }
        let target = target(bed);
        let path = bed.path.to_str().unwrap();
        assert!(bed::run("setfacl", &["-m", "u:7:rwx,d:u:7:rwx", path]));
        assert!(bed::run("setfattr", &["-n", "user.old", "-v", "1", path]));
        let wanted = Attributes { uid: 9, gid: 10, xattrs: xattrs(&[(b"user.new", b"2")]), ..plain(0o2751) };
        assert_eq!(target.applier.apply_existing(fd(&target.root), &wanted), Ok(Vec::new()));
        let stat = stat_fd(fd(&target.root)).unwrap();
        assert_eq!((stat.mode, stat.uid, stat.gid, stat.mtime), (0o2751, 9, 10, wanted.mtime));
        assert_eq!(read_fd(fd(&target.root), false).unwrap().xattrs, wanted.xattrs);
    });
}

#[test]
fn entries_below_setgid_directories_and_grpid_mounts_are_known() {
    for options in ["defaults", "grpid"] {
        bed::with_mount("ext4", options, |bed| {
            let target = target(bed);
            assert_eq!(target.abilities.creation.group_of_directory, options == "grpid");
            for mode in ["0755", "2755"] {
                assert!(bed::run("chown", &["0:77", bed.path.to_str().unwrap()]));
                assert!(bed::run("chmod", &[mode, bed.path.to_str().unwrap()]));
                let rule = target.rule();
                let file = target.opener.create_file(fd(&target.root), b"file", 0o640).unwrap();
                let folder = target.opener.make_directory(fd(&target.root), b"folder").unwrap();
                assert_known(rule.file(0o640), fd(&file));
                assert_known(rule.directory(), fd(&folder));
                let inner = target.opener.make_directory(fd(&folder), b"inner").unwrap();
                assert_known(rule.below().directory(), fd(&inner));
                make::remove_directory(fd(&folder), b"inner").unwrap();
                make::unlink(fd(&target.root), b"file").unwrap();
                make::remove_directory(fd(&target.root), b"folder").unwrap();
            }
        });
    }
}

/// What was foretold is so, or is called a guess.
fn assert_known(foretold: Fresh, entry: std::os::fd::BorrowedFd<'_>) {
    let stat = stat_fd(entry).unwrap();
    assert_eq!((foretold.uid, foretold.gid), (stat.uid, stat.gid));
    assert!(foretold.acl_inherited || foretold.mode == stat.mode, "{foretold:?} {:o}", stat.mode);
}
