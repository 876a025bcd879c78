//! Volumes that stand still and volumes that do not, also with clocks that are not ours.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::fs::stat::stat_at;
use crate::scan::filter::Filter;
use crate::scan::volume::ScanPolicy;

/// Takes the scan's part: shows every entry to the baseline.
struct Scan<'a>(&'a Baseline);

impl Report for Scan<'_> {
    fn side(&self) -> Side {
        Side::Source
    }

    fn item(&self, item: Item) {
        panic!("{item:?}");
    }

    fn left_out(&self, _kind: &str) {}

    fn saw(&self, node: &DirectoryNode, name: Option<&[u8]>, stat: &Stat) {
        self.0.saw(node, name, stat);
    }
}

impl Visitor for Scan<'_> {
    type Directory = ();

    fn directory(
        &self,
        _parent: Option<(&Arc<()>, u64)>,
        _node: &Arc<DirectoryNode>,
        _attributes: Attributes,
    ) -> Result<Arc<()>, CoreError> {
        Ok(Arc::new(()))
    }

    fn entries(&self, _directory: &Arc<()>, _first: u64, _batch: &[Scanned<'_>]) -> Result<(), CoreError> {
        Ok(())
    }

    fn end(&self, _directory: &Arc<()>, _entries: u64, _complete: bool) -> Result<(), CoreError> {
        Ok(())
    }

    fn failed(&self, _parent: &Arc<()>, _entry: u64) -> Result<(), CoreError> {
        Ok(())
    }
}

#[derive(Default)]
struct Items(Mutex<Vec<Item>>);

impl Report for Items {
    fn side(&self) -> Side {
        Side::Source
    }

    fn item(&self, item: Item) {
        self.0.lock().unwrap().push(item);
    }

    fn left_out(&self, _kind: &str) {}
}

const POLICY: ScanPolicy =
    ScanPolicy { one_file_system: true, keep_selinux: false, file_attributes: false, filter: None };
const HOUR: i64 = 3_600;

fn furnish(root: &Path) {
    for directory in ["", "a", "a/b", "c"] {
        let path = root.join(directory);
        fs::create_dir_all(&path).unwrap();
        (0..20).for_each(|n| fs::write(path.join(format!("f{n}")), b"x").unwrap());
        std::os::unix::fs::symlink("nowhere", path.join("link")).unwrap();
    }
}

/// Scans, lets `change` happen, and tells the paths that the closing walk reports, in order. The scan begins at `since`
/// if that is given, as if our clock were another.
fn changed(root: &Path, since: Option<fn(Timestamp) -> Timestamp>, change: impl FnOnce(&Baseline)) -> Vec<String> {
    let volume = Volume::open(root, POLICY).unwrap();
    let mut baseline = Baseline::begin(&volume.root_stat);
    if let Some(shift) = since {
        baseline.since = shift(baseline.since);
    }
    walk(&volume, &Scan(&baseline), 2, &Stop::default()).unwrap();
    change(&baseline);
    let (items, looked) = (Items::default(), AtomicUsize::new(0));
    let look = || {
        looked.fetch_add(1, Ordering::Relaxed);
    };
    closing_walk(&volume, &baseline, &items, &look, 2, &Stop::default()).unwrap();
    assert_eq!(looked.load(Ordering::Relaxed) as u64, fs_entries(root));
    let items = items.0.into_inner().unwrap();
    assert!(items.iter().all(|item| item.class == ItemClass::Changed), "{items:?}");
    let mut paths: Vec<_> = items.into_iter().map(|item| String::from_utf8(item.path).unwrap()).collect();
    paths.sort();
    paths
}

/// What rules exclude may change as it likes, as long as its directory does not.
#[test]
fn what_is_excluded_may_change() {
    let place = tempfile::tempdir().unwrap();
    furnish(place.path());
    let filter = Filter::compile(&["f1".to_owned(), "/c".to_owned()]).unwrap();
    let volume = Volume::open(place.path(), ScanPolicy { filter, ..POLICY }).unwrap();
    let baseline = Baseline::begin(&volume.root_stat);
    walk(&volume, &Scan(&baseline), 2, &Stop::default()).unwrap();
    for path in ["a/f1", "c/f0", "c/new", "a/f2"] {
        fs::write(place.path().join(path), "changed").unwrap();
    }
    let items = Items::default();
    closing_walk(&volume, &baseline, &items, &|| (), 2, &Stop::default()).unwrap();
    let paths: Vec<_> = items.0.into_inner().unwrap().into_iter().map(|item| item.path).collect();
    assert_eq!(paths, [b"a/f2"]);
}

fn fs_entries(root: &Path) -> u64 {
    let inside = fs::read_dir(root).unwrap().map(|entry| {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() { fs_entries(&entry.path()) } else { 1 }
    });
    1 + inside.sum::<u64>()
}

#[test]
fn a_volume_that_was_made_a_moment_ago_and_stands_still_has_not_changed() {
    for _ in 0..20 {
        let place = tempfile::tempdir().unwrap();
        furnish(place.path());
        assert_eq!(changed(place.path(), None, |_| ()), [""; 0]);
    }
}

#[test]
fn every_change_is_named_where_it_shows() {
    type Change = fn(&Path);
    let cases: [(Change, &[&str]); 8] = [
        (|root| fs::write(root.join("a/b/f3"), b"y").unwrap(), &["a/b/f3"]),
        (|root| fs::write(root.join("a/new"), b"y").unwrap(), &["a", "a/new"]),
        (|root| fs::remove_file(root.join("c/f0")).unwrap(), &["c"]),
        (|root| fs::rename(root.join("c/f0"), root.join("a/moved")).unwrap(), &["a", "a/moved", "c"]),
        (|root| fs::hard_link(root.join("f0"), root.join("f0-again")).unwrap(), &["", "f0", "f0-again"]),
        (|root| mode(&root.join("f0"), 0o600), &["f0"]),
        (|root| mode(&root.join("a/b"), 0o700), &["a/b"]),
        (|root| std::os::unix::fs::lchown(root.join("c/link"), None, Some(0)).unwrap(), &["c/link"]),
    ];
    for (change, paths) in cases {
        let place = tempfile::tempdir().unwrap();
        furnish(place.path());
        assert_eq!(changed(place.path(), None, |_| change(place.path())), paths);
    }
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn reading_is_no_change() {
    let place = tempfile::tempdir().unwrap();
    furnish(place.path());
    let read = |_: &Baseline| {
        assert_eq!(fs::read(place.path().join("a/f1")).unwrap(), b"x");
        assert_eq!(fs::read_dir(place.path().join("a/b")).unwrap().count(), 21);
    };
    assert_eq!(changed(place.path(), None, read), [""; 0]);
}

#[test]
fn what_was_reported_while_it_was_copied_is_not_reported_again() {
    let place = tempfile::tempdir().unwrap();
    furnish(place.path());
    let change = |baseline: &Baseline| {
        baseline.tell(b"a/f1");
        fs::write(place.path().join("a/f1"), b"y").unwrap();
        fs::write(place.path().join("a/f2"), b"y").unwrap();
    };
    assert_eq!(changed(place.path(), None, change), ["a/f2"]);
}

/// Seen from us, everything the server stamps is an hour old.
#[test]
fn a_change_by_a_server_whose_clock_is_behind_is_told_without_a_name() {
    let behind = |since: Timestamp| Timestamp { seconds: since.seconds + HOUR, ..since };
    for (change, paths) in [(false, &[][..]), (true, &[""][..])] {
        let place = tempfile::tempdir().unwrap();
        furnish(place.path());
        let act = |_: &Baseline| {
            if change {
                fs::write(place.path().join("a/f1"), b"y").unwrap();
            }
        };
        assert_eq!(changed(place.path(), Some(behind), act), paths);
    }
}

#[test]
fn a_ctime_that_was_ahead_of_our_clock_is_a_change_only_if_it_moves() {
    let place = tempfile::tempdir().unwrap();
    furnish(place.path());
    let volume = Volume::open(place.path(), POLICY).unwrap();
    let stat = stat_at(volume.descriptor(), b"f1").unwrap();
    let at = |seconds: i64| Stat {
        ctime: Timestamp { seconds: stat.ctime.seconds + seconds, ..stat.ctime },
        ..stat.clone()
    };
    let baseline = || Baseline { since: at(-HOUR).ctime, ..Baseline::begin(&volume.root_stat) };
    let path = || b"f1".to_vec();

    let first = baseline();
    assert!(first.is_newer(&at(0), path), "our clock has reached it, and the scan did not meet it before that");
    assert!(!first.is_newer(&at(HOUR), path), "our clock cannot have set it");

    // An hour before our clock gets there, the scan meets it.
    let second = baseline();
    second.saw(&volume.root, Some(b"f1"), &at(HOUR));
    assert!(second.ahead.has(second.hasher.hash_one((path(), at(HOUR).ctime))));
    second.ahead.add(second.hasher.hash_one((path(), at(0).ctime)));
    assert!(!second.is_newer(&at(0), path), "it has not moved since");
    assert!(second.is_newer(&at(-1), path), "it was stamped anew");
}

#[test]
fn a_file_system_of_whole_seconds_is_waited_for() {
    let stat = stat_at(Volume::open(Path::new("/"), POLICY).unwrap().descriptor(), b"proc").unwrap();
    let root = Stat { ctime: Timestamp { seconds: 1, nanoseconds: 0 }, ..stat };
    let called = now(ClockId::Realtime);
    let since = next_stamp(&root);
    assert!(since > called && since.seconds % 2 == 0 && since.nanoseconds == 0, "{since:?} after {called:?}");
    assert!(since <= now(ClockId::Realtime), "it has come");
}
