//! Sessions that only look: every difference is told, and nothing is written.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use pvferry_core::error::ErrorKind;
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::net::{Channel, ChannelKind, Duplex, SessionSink, Unbound};
use pvferry_core::session::compress::Mode;
use pvferry_core::session::events::Event;
use pvferry_core::session::item::ItemClass;
use pvferry_core::source::{SourceConfig, SourceSession};
use pvferry_core::target::Comparison;
use pvferry_core::target::extras::MaxDelete;
use pvferry_core::target::look::{Judgement, LookConfig};
use pvferry_core::wire::check::read_checks;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::limits::{PACK_BYTES, PACK_FILES};

use super::look_pair::{LookPair, listed, look_config};
use super::lost_lanes::kill_before_ack;
use super::pair::{LONG, Pair, SECRET, Settled, listener, roots, source_config};
use super::pki;
use super::relay::{Frame, Hook, Verdict, counting};
use super::volumes::{Place, furnish, noise};

const BY_TIME: Judgement = Judgement::AsCopy(Comparison { digests: false, racy_from: None });

/// Everything that stat(2) tells of every entry but a symlink's access time, which reading it may move.
pub(crate) fn state(root: &Path) -> Vec<String> {
    fn add(path: &Path, states: &mut Vec<String>) {
        let stat = fs::symlink_metadata(path).unwrap();
        let atime = if stat.file_type().is_symlink() { (0, 0) } else { (stat.atime(), stat.atime_nsec()) };
        states.push(format!(
            "{path:?} {} {:o} {} {:?} {}.{} {}.{}",
            stat.ino(),
            stat.mode(),
            stat.nlink(),
            atime,
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec()
        ));
        if stat.is_dir() {
            let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
            names.sort();
            names.iter().for_each(|name| add(name, states));
        }
    }
    let mut states = Vec::new();
    add(root, &mut states);
    states
}

fn shell(root: &Path, script: &str) {
    let status = Command::new("bash").args(["-ec", script]).current_dir(root).status().unwrap();
    assert!(status.success(), "{script}");
}

/// Two volumes that are alike.
fn copied() -> (Place, Place) {
    let (from, to) = (Place::new(), Place::new());
    furnish(&from.root());
    Pair::open(&from.root(), &to.root(), 2).copy();
    (from, to)
}

#[track_caller]
fn look(from: &Place, config: LookConfig) -> (Settled, Vec<String>) {
    let volume = config.volume.clone();
    // Listing a directory may move its access time: whoever looks comes second.
    state(&volume);
    let before = state(&volume);
    let mut pair = LookPair::open(&from.root(), config);
    let settled = pair.look();
    assert_eq!(state(&volume), before, "something of the target was touched");
    assert_eq!((&pair.from.items, &pair.to.items), (&Vec::new(), &Vec::new()));
    let lines = listed(&pair.to.differences);
    (settled, lines)
}

#[test]
fn volumes_that_are_alike_have_the_same_roots() {
    let (from, to) = copied();
    let (settled, lines) = look(&from, look_config(&to.root(), Judgement::EveryByte));
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!(settled.source.roots, settled.target.roots);
    assert_eq!(settled.target.roots, roots(&to.root()));
    assert_eq!(settled.source.entries, settled.target.entries);
    assert_eq!(settled.target.compared, settled.target.entries.files);
    assert_eq!((settled.source.moved_bytes, settled.source.would_move), (0, 0));
}

#[test]
fn a_dry_run_onto_what_is_the_same_reads_no_file() {
    let (from, to) = copied();
    let (settled, lines) = look(&from, look_config(&to.root(), BY_TIME));
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!(settled.target.assumed, settled.target.entries.files);
    assert_eq!(settled.source.would_move, 0);
}

const CHANGES: &str = "
    echo other > a/b/file-9; cp -p a/b/file-1 ../outside/stamp
    printf 'x' > a/b/file-1; touch -r ../outside/stamp a/b/file-1
    touch -d '2001-02-03' a/b/file-3; chmod 0600 a/b/file-4; chown 5:5 a/b/file-5; chown :6 a/b/file-6
    setfattr -n user.k -v v a/b/file-8; setfacl -m u:77:r a/b/file-10
    ln -sfn elsewhere a/dangling; chmod 0700 empty; rm a/null && mknod a/null c 1 5
    rm -r links/small; rm a/b/file-11 && mkdir a/b/file-11 && touch a/b/file-11/within
    rm -r a/b/c && echo now > a/b/c; mkdir -p more/deep && touch more/deep/x && ln -s x more/y
    rm large-0; rm links/large && cp -p large-2 links/large; touch -d '2002-02-02' . a a/b links
";

#[test]
fn every_difference_is_told_and_no_other() {
    let (from, to) = copied();
    shell(&from.root(), "touch -d '2003-03-03' . a a/b links");
    shell(&to.root(), CHANGES);
    // The bytes of a file differ, and nothing else does.
    let stamp = fs::metadata(to.root().join("large-1")).unwrap().modified().unwrap();
    shell(&to.root(), "printf '\\x00\\x01\\x02' | dd of=large-1 bs=1 seek=300000 conv=notrunc status=none");
    fs::File::open(to.root().join("large-1")).unwrap().set_modified(stamp).unwrap();
    let (_, compared) = look(&from, look_config(&to.root(), Judgement::EveryByte));
    let all = |content: &str, unread: &[&str]| -> Vec<String> {
        let mut lines: Vec<String> = [
            ": attributes Directory time",
            "a: attributes Directory time",
            "a/b: attributes Directory time",
            "links: attributes Directory time",
            "a/b/file-10: attributes File acl",
            "a/b/file-4: attributes File mode",
            "a/b/file-5: attributes File owner,group",
            "a/b/file-6: attributes File group",
            "a/b/file-8: attributes File xattrs",
            "a/b/c: missing Directory",
            "a/b/file-11: missing File",
            "a/b/file-11/within: extra File",
            "a/dangling > nowhere: replaced Symlink content,time",
            "a/null: replaced CharDevice content,time",
            "empty: attributes Directory mode",
            "large-0: missing File",
            "links/small > a/b/file-7: missing File link",
            "links/large > large-2: attributes File link",
            "more: extra Directory",
            "more/deep: extra Directory",
            "more/deep/x: extra File",
            "more/y: extra Symlink",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain(
            [("1", "size"), ("9", "size,time")].map(|(n, what)| format!("a/b/file-{n}: replaced File {content}{what}")),
        )
        .chain(unread.iter().map(|line| (*line).to_owned()))
        .collect();
        lines.sort();
        lines
    };
    let read = ["a/b/file-3: attributes File time", "large-1: replaced File content"];
    assert_eq!(compared, all("content,", &read));
    // A dry run believes times.
    let (settled, judged) = look(&from, look_config(&to.root(), BY_TIME));
    assert_eq!(judged, all("", &["a/b/file-3: replaced File time"]));
    assert_eq!(settled.source.would_move, 700 + 9 * 700 + 3 * 700 + 11 * 700 + 524_288);
    // Young files are read.
    let young = Comparison { digests: false, racy_from: Some(Timestamp { seconds: 0, nanoseconds: 0 }) };
    let (_, judged) = look(&from, look_config(&to.root(), Judgement::AsCopy(young)));
    assert_eq!(judged, all("", &["a/b/file-3: replaced File time", "large-1: replaced File content"]));
}

#[test]
fn names_of_one_inode_are_compared_as_such() {
    let (from, to) = (Place::new(), Place::new());
    shell(&from.root(), "echo 1 > a; ln a b; ln a c; echo 2 > d; echo 2 > e; ln -s x l; ln -P l m; touch -d @1 *");
    shell(&from.root(), "touch -h -d @1 l m; touch -d @1 .");
    Pair::open(&from.root(), &to.root(), 2).copy();
    shell(&to.root(), "rm b; cp -p a b; rm c; rm e; ln d e; rm m; cp -P --preserve=all l m; touch -d @1 .");
    let (_, lines) = look(&from, look_config(&to.root(), Judgement::EveryByte));
    let linked = ["d: attributes File link", "e: attributes File link"];
    let expected = ["b > a: attributes File link", "c > a: missing File link"];
    let symlink = ["m > l: attributes Symlink link"];
    assert_eq!(lines, [&expected[..], &linked, &symlink].concat());
    let (_, lines) = look(&from, look_config(&to.root(), BY_TIME));
    let linked = ["d: replaced File", "e: replaced File"];
    assert_eq!(lines, [&expected[..], &linked, &symlink].concat());
}

#[test]
fn without_a_mirror_what_is_extra_is_no_difference() {
    let (from, to) = copied();
    shell(&to.root(), "mkdir extra; touch extra/x; touch -r links .");
    shell(&from.root(), "touch -r links .");
    let config = look_config(&to.root(), BY_TIME);
    let (_, lines) = look(&from, LookConfig { existing: pvferry_core::target::Existing::Update, ..config });
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn limits_of_the_copy_to_come_refuse_as_it_would() {
    let (from, to) = copied();
    shell(&to.root(), "mkdir extra; touch extra/{1..9}");
    let config = |most| LookConfig { max_delete: most, ..look_config(&to.root(), BY_TIME) };
    let error = LookPair::open(&from.root(), config(MaxDelete::Entries(9))).failure();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("holds 10 entries that the source does not have"), "{}", error.message);
    LookPair::open(&from.root(), config(MaxDelete::Entries(10))).look();
    let nothing = Place::new();
    let config = LookConfig { allow_empty_source: false, ..look_config(&to.root(), BY_TIME) };
    let error = LookPair::open(&nothing.root(), config).failure();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("source volume is empty"), "{}", error.message);
}

#[test]
fn an_empty_target_misses_everything() {
    let (from, to) = (Place::new(), Place::new());
    furnish(&from.root());
    shell(&from.root(), "rm -r sparse");
    shell(&to.root(), "touch -r ../nothing . 2>/dev/null || true");
    let (settled, lines) = look(&from, look_config(&to.root(), BY_TIME));
    let missing = lines.iter().filter(|line| line.contains(": missing ")).count();
    let found = Command::new("find").args([".", "-mindepth", "1"]).current_dir(from.root()).output().unwrap();
    assert_eq!(missing, String::from_utf8_lossy(&found.stdout).lines().count());
    assert!(settled.source.would_move > 7_000_000, "{}", settled.source.would_move);
    assert_eq!(settled.target.entries.files, 0);
}

#[test]
fn what_cannot_be_compared_is_named() {
    let (from, to) = copied();
    shell(&from.root(), "mkdir a/mounted; echo below > a/mounted/x");
    shell(&to.root(), "mkdir a/mounted; echo above > a/mounted/x; mkdir spare; mkdir spare/mounted; touch spare/x");
    shell(&to.root(), "mount -t tmpfs none a/mounted; mount -t tmpfs none spare/mounted");
    let mut pair = LookPair::open(&from.root(), look_config(&to.root(), Judgement::EveryByte));
    pair.look();
    shell(&to.root(), "umount a/mounted spare/mounted");
    pair.to.items.sort_by(|a, b| a.path.cmp(&b.path));
    let items: Vec<_> = pair.to.items.iter().map(|item| (item.class, &*item.path, item.errno_name())).collect();
    assert_eq!(
        items,
        [(ItemClass::Unreadable, &b"a/mounted"[..], Some("EXDEV")), (ItemClass::Skipped, &b"spare/mounted"[..], None)]
    );
    let lines = listed(&pair.to.differences);
    assert!(lines.contains(&"spare/x: extra File".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("spare:") || line.starts_with("a/mounted")), "{lines:?}");
}

#[test]
fn a_lane_that_dies_costs_no_difference_and_tells_none_twice() {
    let (from, to) = copied();
    shell(&to.root(), "for i in 3 5 8 13 21 34 55; do echo changed > a/b/file-$i; done; echo >> large-3");
    let (_, expected) = look(&from, look_config(&to.root(), Judgement::EveryByte));
    let (hook, kills) = counting(kill_before_ack(FrameType::Check, 5));
    let mut pair = LookPair::relayed(&from.root(), look_config(&to.root(), Judgement::EveryByte), Some(hook));
    pair.look();
    assert!(kills.load(Ordering::Relaxed) > 0, "no lane died");
    assert_eq!(listed(&pair.from.differences), expected);
}

/// One frame for each would take a round trip for every few of them.
#[test]
fn small_files_are_checked_many_in_a_frame() {
    let (from, to) = (Place::new(), Place::new());
    shell(&from.root(), "for i in {1..1500}; do echo $i > $i; done; head -c 2M /dev/urandom > large; touch -d @1 .");
    for number in 0..4 {
        fs::write(from.root().join(format!("middle-{number}")), noise(number, 400_000)).unwrap();
    }
    Pair::open(&from.root(), &to.root(), 2).copy();
    let frames = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&frames);
    let hook: Hook = Arc::new(move |frame: &mut Frame<'_>| {
        if frame.kind == FrameType::Check {
            let sizes: Vec<u64> = read_checks(frame.payload).unwrap().iter().map(|check| check.size).collect();
            seen.lock().unwrap().push(sizes);
        }
        Verdict::Pass
    });
    let mut pair = LookPair::relayed(&from.root(), look_config(&to.root(), Judgement::EveryByte), Some(hook));
    assert_eq!(pair.look().target.compared, 1_505);
    let frames = frames.lock().unwrap();
    assert_eq!(frames.iter().map(Vec::len).sum::<usize>(), 1_505);
    assert!(frames.len() < 150, "{} frames", frames.len());
    assert!(frames.iter().all(|sizes| sizes.len() == 1 || sizes.iter().sum::<u64>() <= PACK_BYTES), "{frames:?}");
    assert!(frames.iter().all(|sizes| sizes.len() <= PACK_FILES), "{frames:?}");
}

#[test]
fn a_large_file_with_other_holes_is_the_same() {
    let (from, to) = (Place::new(), Place::new());
    shell(&from.root(), "truncate -s 1056M sparse");
    fs::write(from.root().join("dense"), noise(3, 3_000_000)).unwrap();
    Pair::open(&from.root(), &to.root(), 2).copy();
    // So much data that the holes left do not make the form of the source's digest.
    shell(&to.root(), "cp -p sparse ../outside/stamp");
    shell(
        &to.root(),
        "head -c 40M /dev/zero | dd of=sparse conv=notrunc status=none; touch -r ../outside/stamp sparse",
    );
    let (_, lines) = look(&from, look_config(&to.root(), Judgement::EveryByte));
    assert_eq!(lines, Vec::<String>::new());
}

/// Takes a connection and breaks it at once.
struct Deaf;

impl SessionSink for Deaf {
    fn bind(&self, _channel: Channel, stream: Arc<dyn Duplex>) -> Result<(), String> {
        stream.abort();
        Ok(())
    }
}

/// No other session follows one that looks, so that nothing may be announced that cannot be announced again.
#[test]
fn an_index_that_was_there_before_the_session_and_breaks_may_be_dialled_again() {
    let place = Place::new();
    let listener = listener(pki::target());
    let _registration = listener.register(SECRET, Arc::new(Deaf));
    let (told, heard) = channel();
    let sink = move |events: Vec<Event>| events.into_iter().for_each(|event| drop(told.send(event)));
    let config = SourceConfig { looks: true, ..source_config(&place.root(), Mode::None) };
    let session = SourceSession::open(config, Box::new(sink)).unwrap();
    let tcp = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
    session.bind_index(Unbound::dial(tcp, ChannelKind::Index, &pki::source(), None, LONG).unwrap());
    assert!(matches!(heard.recv_timeout(LONG).unwrap(), Event::IndexLost(_)));
}
