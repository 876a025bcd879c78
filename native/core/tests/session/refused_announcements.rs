//! What a target refuses on the index: each in words, and nothing beside the volume is touched.

use pvferry_core::error::ErrorKind;
use pvferry_core::fs::stat::Kind;
use pvferry_core::wire::cursor::Put;
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::{Body, EntriesHead};
use pvferry_core::wire::limits::{MAX_LINK_BYTES, MAX_SYMLINK};

use super::alone::within_mebibytes;
use super::rogue::{Bench, entries_frame, header, plain, symlink};
use super::volumes::names;

/// The target ends with a protocol error that says `words`.
#[track_caller]
fn expect_refusal(words: &str, act: impl FnOnce(&Bench)) {
    let mut bench = Bench::open();
    act(&bench);
    let error = bench.witness.failure();
    assert!(error.message.contains(words), "expected {words:?}: {error:?}");
    assert_eq!(error.kind, ErrorKind::Protocol, "{error:?}");
    bench.place.expect_canary();
}

const FILE: Body<'_> = Body::File { size: 1, link: 0, attributes: None };

#[test]
fn names_that_are_none() {
    for name in [&b""[..], b".", b"..", b"a/b", b"../outside/canary", b"/etc/passwd", b"a\0b", b"/"] {
        let says = "a name holds '/' or NUL, or is '.', '..', empty or too long";
        expect_refusal(says, |bench| {
            bench.root().entries((0, 0, 0), &[(name, FILE)]);
        });
        expect_refusal(says, |bench| {
            bench.root().entries((0, 0, 0), &[(name, symlink(b"x"))]);
        });
        expect_refusal(says, |bench| {
            bench.root().entries((0, 0, 0), &[(b"d", Body::Directory)]).directory(1, 0, 0, name);
        });
    }
    // 256 does not fit the length's byte: what follows is then read as something else.
    expect_refusal("broke the protocol", |bench| {
        bench.root().entries((0, 0, 0), &[(&[b'n'; 256], FILE)]);
    });
}

#[test]
fn reserved_names_at_the_root() {
    for name in [&b".pvferry"[..], b"lost+found"] {
        expect_refusal("reserved name", |bench| {
            bench.root().entries((0, 0, 0), &[(name, symlink(b"/"))]);
        });
    }
}

#[test]
fn frames_that_are_none() {
    let raw = |bytes: Vec<u8>| move |bench: &Bench| bench.index.raw(&bytes);
    expect_refusal("longer than 4 MiB", raw(header(2, 0, u32::MAX)));
    expect_refusal("longer than 4 MiB", raw(header(2, 0, (4 << 20) + 1)));
    expect_refusal("unknown type", raw(header(99, 0, 0)));
    expect_refusal("unknown flags", raw(header(2, 0x80, 0)));
    for frame in [FrameType::Ack, FrameType::Pack, FrameType::Piece, FrameType::End, FrameType::Gone] {
        expect_refusal("the index brings data", |bench| {
            bench.root().index.send(frame, &[0; 64]);
        });
    }
}

/// Entries whose head says something else than what follows.
fn counted(count: u32, first_leaf: u64, entries: &[(&[u8], Body<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    EntriesHead { directory: 0, first_leaf, first_file: 0, count }.put(&mut out);
    out.extend_from_slice(&entries_frame((0, 0, 0), entries)[28..]);
    out
}

#[test]
fn lengths_that_are_absurd() {
    let frame = |words: &str, payload: Vec<u8>| {
        expect_refusal(words, |bench| {
            bench.root().index.send(FrameType::Entries, &payload);
        });
    };
    frame("too many entries", counted(u32::MAX, 0, &[]));
    frame("too many entries", counted(1, u64::MAX, &[(b"a", FILE)]));
    frame("ends too early", counted(2, 0, &[(b"a", FILE)]));
    frame("holds more than it should", counted(0, 0, &[(b"a", FILE)]));
    frame(
        "larger than a file can be",
        counted(1, 0, &[(b"a", Body::File { size: u64::MAX, link: 0, attributes: None })]),
    );
    frame("no known type", [counted(1, 0, &[]), vec![77, 1, b'a']].concat());
    frame("has no number", counted(1, 0, &[(b"a", Body::Link { link: 0 })]));
    frame("exceeds its limit", counted(1, 0, &[(b"a", symlink(&[b'x'; 4_096]))]));
    frame("empty or holds NUL", counted(1, 0, &[(b"a", symlink(b"a\0b"))]));
    frame("empty or holds NUL", counted(1, 0, &[(b"a", symlink(b""))]));
    let mut long_link = vec![3, 1, b'a'];
    long_link.put_u64(0);
    long_link.put_u32(u32::MAX);
    frame("broke the protocol", [counted(1, 0, &[]), long_link].concat());
    let items = |count: u32| {
        let mut out = Vec::new();
        out.put_u32(count);
        move |bench: &Bench| {
            bench.index.send(FrameType::Items, &out);
        }
    };
    expect_refusal("too many items", items(u32::MAX));
    expect_refusal("ends too early", items(3));
}

/// A symlink's entry with these attribute bytes: mode, owner, time, attributes.
fn attributes(mode: u16, uid: u32, nanoseconds: u32, xattrs: &[u8]) -> Vec<u8> {
    let mut out =
        counted(1, 0, &[(b"a", Body::Special { kind: Kind::Fifo, major: 0, minor: 0, attributes: plain(), link: 0 })]);
    // The attributes stand last: mode 2, owner 8, time 12, count of extended ones 2.
    out.truncate(out.len() - 24);
    out.put_u16(mode);
    out.put_u32(uid);
    out.put_u32(0);
    out.put_i64(i64::MIN);
    out.put_u32(nanoseconds);
    out.extend_from_slice(xattrs);
    out
}

#[test]
fn attributes_that_nothing_can_have() {
    let frame = |words: &str, payload: Vec<u8>| {
        expect_refusal(words, |bench| {
            bench.root().index.send(FrameType::Entries, &payload);
        });
    };
    frame("out of range", attributes(0o10_000, 0, 0, &[0, 0]));
    frame("out of range", attributes(0o644, u32::MAX, 0, &[0, 0]));
    frame("out of range", attributes(0o644, 0, 1_000_000_000, &[0, 0]));
    frame("ends too early", attributes(0o644, 0, 0, &[0xff, 0xff]));
    frame("no proper name", attributes(0o644, 0, 0, &[0, 1, 0, 0, 0, 0, 0]));
    frame("no proper name", attributes(0o644, 0, 0, &[0, 1, 2, b'u', 0, 0, 0, 0, 0]));
    frame("exceeds its limit", attributes(0o644, 0, 0, &[0, 1, 1, b'u', 0xff, 0xff, 0xff, 0xff]));
    let mut many = vec![0, 40];
    for number in 0..40 {
        many.put_short_bytes(&[b'u', number + 1]);
        many.put_long_bytes(&[0; 65_536]);
    }
    frame("exceed their limit", attributes(0o644, 0, 0, &many));
}

#[test]
fn directories_that_were_not_announced_or_were_before() {
    let entries = |bench: &Bench| {
        bench.entries((7, 0, 0), &[(b"a", FILE)]);
    };
    expect_refusal("unknown directory", entries);
    expect_refusal("unknown directory", |bench| {
        bench.root().directory(1, 9, 0, b"d");
    });
    expect_refusal("unknown directory", |bench| {
        bench.root().mark(FrameType::DirectoryEnd, 3, 0);
    });
    expect_refusal("unknown directory", |bench| {
        bench.root().mark(FrameType::DirectoryFailed, 3, 0);
    });
    expect_refusal("announced twice", |bench| {
        bench.root().root();
    });
    expect_refusal("not announced as one", |bench| {
        bench.directory(0, 0, 0, b"x");
    });
    expect_refusal("that no entry announced", |bench| {
        bench.root().directory(1, 0, 0, b"d");
    });
    expect_refusal("that no entry announced", |bench| {
        bench.root().mark(FrameType::DirectoryFailed, 0, 5);
    });
    let again = |bench: &Bench| {
        bench.root().entries((0, 0, 0), &[(b"d", Body::Directory), (b"e", Body::Directory)]);
        bench.directory(1, 0, 0, b"d").directory(1, 0, 1, b"e");
    };
    expect_refusal("announced twice", again);
    // The whole volume once more, after it was complete.
    expect_refusal("announced twice", |bench| {
        bench.root().mark(FrameType::DirectoryEnd, 0, 0).root();
    });
}

#[test]
fn entries_that_are_settled_twice_or_out_of_order() {
    let link = || symlink(b"x");
    let out_of_order = "out of order";
    expect_refusal(out_of_order, |b| {
        b.root().entries((0, 1, 0), &[(b"a", link())]);
    });
    expect_refusal(out_of_order, |b| {
        b.root().entries((0, 0, 0), &[(b"b", link()), (b"a", link())]);
    });
    expect_refusal(out_of_order, |b| {
        b.root().entries((0, 0, 0), &[(b"a", link()), (b"a", FILE)]);
    });
    let twice = |b: &Bench| {
        b.root().entries((0, 0, 0), &[(b"a", link())]).entries((0, 0, 0), &[(b"b", link())]);
    };
    expect_refusal(out_of_order, twice);
    let end = FrameType::DirectoryEnd;
    expect_refusal("another number", |b| {
        b.root().entries((0, 0, 0), &[(b"a", link())]).mark(end, 0, 2);
    });
    expect_refusal("another number", |b| {
        b.root().mark(end, 0, u64::MAX);
    });
    let after = |b: &Bench| {
        b.root().entries((0, 0, 0), &[(b"a", Body::Directory)]).mark(end, 0, 1).entries((0, 1, 0), &[(b"b", link())]);
    };
    expect_refusal(out_of_order, after);
    let settled_twice = |b: &Bench| {
        b.root().entries((0, 0, 0), &[(b"a", Body::Directory), (b"b", Body::Directory)]);
        b.mark(FrameType::DirectoryFailed, 0, 0).mark(FrameType::DirectoryFailed, 0, 0).mark(end, 0, 2);
    };
    expect_refusal("settles an entry twice", settled_twice);
    expect_refusal("is settled twice", |b| {
        b.root().index.send(FrameType::Settled, &[]);
        b.index.send(FrameType::Settled, &[]);
    });
    expect_refusal("announced after the end", |b| {
        b.index.send(FrameType::Settled, &[]);
        b.root();
    });
}

#[test]
fn a_symlink_is_never_a_directory() {
    // The same name: first a symlink to the outside, then a directory with a file in it.
    let mut bench = Bench::open();
    bench.root().entries((0, 0, 0), &[(b"d", symlink(b"../outside"))]);
    bench.directory(1, 0, 0, b"d").entries((1, 0, 0), &[(b"canary", symlink(b"evil")), (b"more", symlink(b"evil"))]);
    bench.mark(FrameType::DirectoryEnd, 1, 2).mark(FrameType::DirectoryEnd, 0, 1);
    let error = bench.witness.failure();
    assert!(error.message.contains("settles an entry twice"), "{error:?}");
    bench.place.expect_canary();
    assert!(bench.witness.items.iter().any(|item| item.path == b"d" && item.errno_name() == Some("EEXIST")));
}

#[test]
fn file_ids_that_are_skipped_repeated_or_too_many() {
    expect_refusal("skips a file id", |bench| {
        bench.root().entries((0, 0, 5), &[(b"a", FILE)]);
    });
    expect_refusal("skips a file id", |bench| {
        bench.root().entries((0, 0, 0), &[(b"a", FILE)]).entries((0, 1, 0), &[(b"b", FILE)]);
    });
    within_mebibytes(64, "refused_announcements::file_ids_that_are_skipped_repeated_or_too_many", || {
        expect_refusal("too many files ahead", |bench| {
            bench.root();
            for batch in 0..40_u64 {
                let names: Vec<Vec<u8>> = (0..1_024).map(|n| format!("{:0>200}", batch * 1_024 + n).into()).collect();
                let entries: Vec<(&[u8], Body<'_>)> = names.iter().map(|name| (&name[..], FILE)).collect();
                bench.entries((0, batch * 1_024, batch * 1_024), &entries);
            }
        });
    });
}

#[test]
fn directories_that_never_end_are_bounded() {
    within_mebibytes(96, "refused_announcements::directories_that_never_end_are_bounded", || {
        let mut payload = attributes(0o700, 0, 0, &[]).split_off(28 + 3 + 16);
        payload.put_u16(30);
        for number in 0..30 {
            payload.put_short_bytes(&[b"user."[..].to_vec(), vec![b'a' + number]].concat());
            payload.put_long_bytes(&[7; 65_000]);
        }
        expect_refusal("too many directories are unfinished", |bench| {
            bench.root();
            for id in 1..200_u64 {
                let name = format!("{id:03}");
                bench.entries((0, id - 1, 0), &[(name.as_bytes(), Body::Directory)]);
                let mut out = Vec::new();
                [id, 0, id - 1].into_iter().for_each(|number| out.put_u64(number));
                out.put_short_bytes(name.as_bytes());
                out.extend_from_slice(&payload);
                bench.index.send(FrameType::Directory, &out);
            }
        });
    });
}

#[test]
fn refusals_leave_a_volume_that_says_unfinished() {
    let mut bench = Bench::open();
    bench.root().entries((0, 0, 0), &[(b"kept", symlink(b"x")), (b"not", FILE)]).entries((0, 9, 9), &[(b"z", FILE)]);
    bench.witness.failure();
    assert_eq!(names(&bench.place.root()), [".pvferry", "kept"]);
}

/// Every symlink claims to have other names: its target is kept for them.
#[test]
fn what_is_kept_for_further_names_is_bounded() {
    expect_refusal("names, or attributes, of hard links", |bench| {
        bench.root();
        let target = [b't'; MAX_SYMLINK];
        let links = (MAX_LINK_BYTES / MAX_SYMLINK + 1) as u64;
        for first in (0..=links).step_by(512) {
            let names: Vec<Vec<u8>> = (first..first + 512).map(|number| format!("{number:08}").into()).collect();
            let symlink = |link| Body::Symlink { target: &target, attributes: plain(), link };
            let entries: Vec<(&[u8], Body<'_>)> =
                names.iter().map(|n| &n[..]).zip((first + 1..).map(symlink)).collect();
            bench.entries((0, first, 0), &entries);
        }
    });
}
