//! As somebody else than root. Ids and capabilities belong to a thread for the kernel: each test gives up its own
//! thread's, and the process stays what it was.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};

use pvferry_core::fs::Errno;
use pvferry_core::fs::apply::{Applier, Attributes, Lost};
use pvferry_core::fs::clear::clear;
use pvferry_core::fs::fresh::FreshRule;
use pvferry_core::fs::open::Opener;
use pvferry_core::fs::probe::{Abilities, probe};
use pvferry_core::fs::process::ProcessIds;
use pvferry_core::fs::stat::{Kind, Timestamp, stat_at};
use pvferry_core::fs::xattrs::{Xattrs, read_at};
use pvferry_core::session::item::ItemClass;
use pvferry_core::target::extras::MaxDelete;
use rustix::fs::{Gid, Uid};

use crate::bed::{self, Bed, fd};
use crate::extras::extras;
use crate::ground::Ground;

const UID: u32 = 12_345;
const GID: u32 = 0;
/// As fsGroup gives it.
const GROUP: u32 = 3000;

fn ids() -> ProcessIds {
    ProcessIds { uid: UID, gid: GID, groups: vec![GROUP], umask: ProcessIds::read().unwrap().umask, capabilities: 0 }
}

/// Runs a test on a tmpfs (which an unmounted /tmp would make dependent on the machine) as uid 12345, group 0, with a
/// supplementary group that owns the volume.
fn as_somebody(test: impl Fn(&Bed) + Sync) {
    as_somebody_after(|_| (), test);
}

/// The same, with something for root to do first.
fn as_somebody_after(prepare: impl Fn(&Bed), test: impl Fn(&Bed) + Sync) {
    bed::with_mount("tmpfs", "mode=2770", |bed| {
        chown(&bed.path, Some(0), Some(GROUP)).unwrap();
        std::fs::set_permissions(&bed.path, PermissionsExt::from_mode(0o2770)).unwrap();
        // The mount lies in a folder of root's own.
        std::fs::set_permissions(bed.path.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
        prepare(bed);
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                rustix::thread::set_thread_groups(&[Gid::from_raw(GROUP)]).unwrap();
                let (uid, gid) = (Uid::from_raw(UID), Gid::from_raw(GID));
                rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
                rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
                test(bed);
            });
            run.join().unwrap();
        });
    });
}

fn prepare(bed: &Bed) -> (OwnedFd, Opener, Abilities, Applier) {
    let (root, opener) = (bed.root(), Opener::new(false));
    let abilities = probe(&opener, fd(&root), &ids()).unwrap();
    let applier = Applier::new(&abilities, false);
    (root, opener, abilities, applier)
}

fn lost(lost: &[Lost]) -> Vec<(&str, Option<Errno>)> {
    lost.iter().map(|lost| (lost.what.as_str(), lost.errno)).collect()
}

fn wanted(mode: u32, uid: u32, gid: u32) -> Attributes {
    Attributes { mode, uid, gid, mtime: Timestamp { seconds: 1, nanoseconds: 2 }, xattrs: Xattrs::new() }
}

#[test]
fn the_probe_tells_what_is_not_allowed() {
    as_somebody(|bed| {
        let (_, _, abilities, _) = prepare(bed);
        let refused = Some(Errno::PERM);
        assert_eq!((abilities.owners, abilities.devices, abilities.trusted_xattrs), (refused, refused, refused));
        assert_eq!(
            (abilities.user_xattrs, abilities.acls, abilities.fifos, abilities.hard_links),
            (None, None, None, None)
        );
        assert_eq!(abilities.security_xattrs, refused);
        assert!(abilities.honest);
        assert_eq!((abilities.creation.uid, abilities.creation.gid), (UID, GID));
        assert!(!abilities.creation.group_of_directory);
    });
}

#[test]
fn the_group_is_kept_where_the_owner_cannot_be() {
    as_somebody(|bed| {
        let (root, opener, abilities, applier) = prepare(bed);
        let rule = FreshRule::of(fd(&root), &abilities.creation).unwrap();
        let file = |name: &str, wanted: &Attributes| {
            let file = opener.create_file(fd(&root), name.as_bytes(), wanted.mode).unwrap();
            let lost = applier.apply_fd(fd(&file), Kind::File, wanted, &rule.file(wanted.mode));
            (lost, stat_at(fd(&root), name.as_bytes()).unwrap())
        };
        let (all, stat) = file("own", &wanted(0o6640, UID, GROUP));
        assert_eq!((lost(&all), stat.mode, stat.gid), (vec![], 0o6640, GROUP));
        let (all, stat) = file("group", &wanted(0o6750, 99, GID));
        assert_eq!(lost(&all), [("owner", Some(Errno::PERM)), ("mode", None)]);
        assert_eq!((stat.uid, stat.gid, stat.mode), (UID, GID, 0o2750), "no setuid for another owner");
        let (all, stat) = file("neither", &wanted(0o6750, 99, 98));
        let expected = [("owner", Some(Errno::PERM)), ("group", Some(Errno::PERM)), ("mode", None), ("mode", None)];
        assert_eq!(lost(&all), expected);
        assert_eq!((stat.uid, stat.gid, stat.mode, stat.mtime.seconds), (UID, GROUP, 0o750, 1));
    });
}

/// chmod(2) drops setgid without a word for those outside the group.
#[test]
fn a_setgid_that_the_kernel_drops_is_reported() {
    let make_folder = |bed: &Bed| {
        drop(bed.directory("folder"));
        chown(bed.join("folder"), Some(UID), Some(77)).unwrap();
    };
    as_somebody_after(make_folder, |bed| {
        let (root, opener, _, applier) = prepare(bed);
        let folder = opener.directory(fd(&root), b"folder").unwrap();
        let fresh = pvferry_core::fs::fresh::Fresh::of(&stat_at(fd(&root), b"folder").unwrap());
        let all = applier.apply_fd(fd(&folder), Kind::Directory, &wanted(0o2755, UID, 77), &fresh);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].what.as_str(), all[0].detail.as_str()), ("mode", "the file system made it 0755"));
    });
}

/// Writing user attributes needs write permission by mode, which a read-only file never has for its owner.
#[test]
fn read_only_files_get_their_attributes() {
    as_somebody(|bed| {
        let (root, opener, abilities, applier) = prepare(bed);
        let rule = FreshRule::of(fd(&root), &abilities.creation).unwrap();
        let xattrs = Xattrs::from_pairs(vec![(Box::from(&b"user.x"[..]), Box::from(&b"1"[..]))]);
        let wanted = Attributes { xattrs, ..wanted(0o444, UID, GROUP) };
        let file = opener.create_file(fd(&root), b"file", wanted.mode).unwrap();
        let all = applier.apply_fd(fd(&file), Kind::File, &wanted, &rule.file(wanted.mode));
        assert_eq!(all, []);
        assert_eq!(stat_at(fd(&root), b"file").unwrap().mode, 0o444);
        assert_eq!(read_at(fd(&root), b"file", false).unwrap().xattrs, wanted.xattrs);
    });
}

#[test]
fn somebody_elses_files_are_read_without_noatime() {
    as_somebody(|bed| {
        let (root, opener, ..) = prepare(bed);
        bed.file("own", b"x");
        opener.file(fd(&root), b"own").unwrap();
        let etc = pvferry_core::fs::open::open_volume(std::path::Path::new("/etc")).unwrap();
        opener.file(fd(&etc), b"passwd").unwrap();
        assert_eq!(opener.file(fd(&etc), b"shadow").err(), Some(Errno::ACCESS));
    });
}

#[test]
fn own_directories_without_permissions_are_cleared() {
    as_somebody(|bed| {
        std::fs::create_dir_all(bed.join("a/b/c")).unwrap();
        bed.file("a/b/file", b"");
        for (path, mode) in [("a/b/c", 0o000), ("a/b", 0o555), ("a", 0o000)] {
            std::fs::set_permissions(bed.join(path), PermissionsExt::from_mode(mode)).unwrap();
        }
        assert_eq!(clear(fd(&bed.root()), &[]), Ok(4));
    });
}

/// What stays keeps its mode, also a directory that had to be opened up, and also when the limit forbids everything.
#[test]
fn extra_entries_go_from_own_directories_without_permissions() {
    let modes = [("kept", 0o2550), ("kept/extra/closed", 0o000), ("kept/extra", 0o110)];
    as_somebody(|bed| {
        let ground = Ground::new(bed, &ids());
        std::fs::create_dir_all(bed.join("kept/extra/closed")).unwrap();
        bed.file("kept/extra/closed/file", b"");
        let kept = ground.node("kept");
        for (path, mode) in modes {
            std::fs::set_permissions(bed.join(path), PermissionsExt::from_mode(mode)).unwrap();
        }
        let limited = extras(bed, MaxDelete::Entries(2));
        limited.add(&kept, [b"extra".as_slice()]).unwrap();
        let error = ground.remove_all(&limited).unwrap_err();
        assert!(error.message.contains("holds 3 entries"), "{}", error.message);
        let opener = Opener::new(false);
        let root = bed.root();
        let folder = opener.directory(fd(&root), b"kept").unwrap();
        assert_eq!(stat_at(fd(&root), b"kept").unwrap().mode, 0o2550);
        assert_eq!(stat_at(fd(&folder), b"extra").unwrap().mode, 0o110);
        let extras = extras(bed, MaxDelete::Entries(3));
        extras.add(&kept, [b"extra".as_slice()]).unwrap();
        assert_eq!(ground.remove_all(&extras), Ok(3));
        assert_eq!((ground.items(), stat_at(fd(&root), b"kept").unwrap().mode), (vec![], 0o2550));
    });
}

#[test]
fn what_belongs_to_somebody_else_is_an_item() {
    let make_folder = |bed: &Bed| {
        std::fs::create_dir_all(bed.join("theirs/below")).unwrap();
        bed.file("theirs/below/file", b"");
    };
    as_somebody_after(make_folder, |bed| {
        let ground = Ground::new(bed, &ids());
        bed.file("own", b"");
        let extras = extras(bed, MaxDelete::Unlimited);
        extras.add(&ground.root, [b"theirs".as_slice(), b"own"]).unwrap();
        assert_eq!(ground.remove_all(&extras), Ok(1));
        let item = |path: &str, what: &str, errno| (ItemClass::NotKept, path.to_owned(), what.to_owned(), errno);
        // The root is root's own too.
        let items = [item("theirs/below/file", "extra entry", "EACCES"), item("", "times", "EPERM")];
        assert_eq!(ground.items(), items);
    });
}
