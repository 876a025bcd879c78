//! Every binary frame: what the document shows is what the code sends, and what it takes.

use pvferry_core::digest::Digest;
use pvferry_core::digest::blocks::{Blocks, sums};
use pvferry_core::digest::file::Form;
use pvferry_core::fs::apply::Attributes;
use pvferry_core::fs::aspects::Aspects;
use pvferry_core::fs::stat::{Kind, Timestamp};
use pvferry_core::fs::xattrs::Xattrs;
use pvferry_core::net::bind::{self, BIND_BYTES, Bind};
use pvferry_core::session::difference::{Change, Difference};
use pvferry_core::session::item::{Item, ItemClass, Side};
use pvferry_core::wire::blocks::{Patch, Sums, put_piece_sums};
use pvferry_core::wire::check::{Check, read_checks};
use pvferry_core::wire::cursor::Put;
use pvferry_core::wire::differences::{put_differences, read_differences};
use pvferry_core::wire::frame::{FrameType, HEADER, Header};
use pvferry_core::wire::index::{
    Ack, Body, Directory, DirectoryEnd, DirectoryMark, EntriesHead, Entry, Outcome, read_entries,
};
use pvferry_core::wire::items::{put_item, read_items};
use pvferry_core::wire::lane::{Again, End, FileAttempt, Hole, PackedFile, Piece, put_gone, read_gone, read_pack};
use pvferry_core::wire::limits::{MAX_GAPS, SUMS_PIECES, WINDOW_FRAMES};

use crate::document::{bytes, rows, section};

const TYPES: [(FrameType, &str); 18] = [
    (FrameType::Directory, "DIRECTORY"),
    (FrameType::Entries, "ENTRIES"),
    (FrameType::DirectoryEnd, "DIRECTORY_END"),
    (FrameType::DirectoryFailed, "DIRECTORY_FAILED"),
    (FrameType::Items, "ITEMS"),
    (FrameType::Ping, "PING"),
    (FrameType::Ack, "ACK"),
    (FrameType::Settled, "SETTLED"),
    (FrameType::Differences, "DIFFERENCES"),
    (FrameType::Pack, "PACK"),
    (FrameType::Piece, "PIECE"),
    (FrameType::Hole, "HOLE"),
    (FrameType::End, "END"),
    (FrameType::Again, "AGAIN"),
    (FrameType::Gone, "GONE"),
    (FrameType::Check, "CHECK"),
    (FrameType::Sums, "SUMS"),
    (FrameType::Patch, "PATCH"),
];

/// Compares a frame with the document's, and hands the document's payload to `read`, which has to give the same again.
fn golden(frame_type: FrameType, payload: &[u8], read: impl FnOnce(&[u8]) -> Vec<u8>) {
    let name = TYPES.iter().find(|(known, _)| *known == frame_type).map_or("", |(_, name)| name);
    let document = bytes(name, "hex");
    let header = Header { frame_type, zstd: false, length: payload.len() as u32 };
    let frame = [header.encode().as_slice(), payload].concat();
    assert_eq!(hexes(&document), hexes(&frame), "{name}");
    let (head, rest) = document.split_first_chunk::<HEADER>().unwrap();
    assert_eq!(Header::decode(head), Ok(header), "{name}");
    assert_eq!(read(rest), rest, "{name}");
}

fn hexes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}

fn put(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn attributes(mode: u32, id: u32, (seconds, nanoseconds): (i64, u32)) -> Attributes {
    Attributes { mode, uid: id, gid: id, mtime: Timestamp { seconds, nanoseconds }, xattrs: Xattrs::default() }
}

#[test]
fn types_are_listed() {
    let listed: Vec<_> = rows("Frames").into_iter().filter(|row| row.len() == 5).collect();
    assert_eq!(listed.len(), TYPES.len());
    for ((frame_type, name), row) in TYPES.iter().zip(listed) {
        let link = format!("[{name}](");
        assert!(row[0] == (*frame_type as u8).to_string() && row[1].starts_with(&link), "{name}: {row:?}");
        let acknowledged = !matches!(name, &"ITEMS" | &"PING" | &"ACK" | &"SETTLED" | &"DIFFERENCES");
        assert_eq!(row[4], if acknowledged { "yes" } else { "no" }, "{name}");
    }
}

#[test]
fn differences() {
    let difference = |change, kind, aspects: Aspects, path: &[u8], to: &[u8]| Difference {
        change,
        kind,
        aspects,
        path: path.to_vec(),
        to: to.to_vec(),
    };
    let told = [
        difference(Change::Replaced, Kind::File, Aspects::SIZE.with(Aspects::TIME), b"a/b", b""),
        difference(Change::Extra, Kind::Directory, Aspects::NONE, b"d", b""),
        difference(Change::Missing, Kind::File, Aspects::LINK, b"e", b"a/b"),
    ];
    golden(FrameType::Differences, &put(|out| put_differences(out, &told)), |rest| {
        put(|out| put_differences(out, &read_differences(rest).unwrap()))
    });
    // Bits without a meaning, unknown sorts and kinds, a count that is not there.
    for (at, byte) in [(6, 0x80), (4, 9), (5, 8), (3, 4)] {
        let mut bytes = put(|out| put_differences(out, &told));
        bytes[at] = byte;
        assert!(read_differences(&bytes).is_err(), "byte {at}");
    }
    assert!(read_differences(&u32::MAX.to_be_bytes()).is_err());
}

#[test]
fn bind_and_its_refusal() {
    let document = bytes("BIND", "hex");
    let frame: [u8; BIND_BYTES] = document.try_into().unwrap();
    assert_eq!(hexes(&Bind { lane: 2, secret: [7; 32] }.encode()), hexes(&frame));
    let bind = Bind::decode(&frame).unwrap();
    assert_eq!((bind.lane, bind.secret), (2, [7; 32]));
    assert_eq!(bytes("BIND", "hex refused"), bind::refused("No room."));
    assert_eq!(bind::bound(), [0]);
    let most = bind::refused(&"x".repeat(70_000)).len() - 3;
    assert_eq!(most, 2_048);
    assert!(section("BIND").contains("(at most 2,048)"));
}

#[test]
fn empty_frames() {
    golden(FrameType::Ping, &[], |rest| rest.to_vec());
    golden(FrameType::Settled, &[], |rest| rest.to_vec());
}

#[test]
fn directory() {
    let message =
        Directory { id: 1, parent: 0, leaf: 2, name: b"d", attributes: attributes(0o700, 1_000, (-1, 500_000_000)) };
    golden(FrameType::Directory, &put(|out| message.put(out)), |rest| {
        put(|out| Directory::read(rest).unwrap().put(out))
    });
}

#[test]
fn entries() {
    let special = Body::Special {
        kind: Kind::BlockDevice,
        major: 8,
        minor: 1,
        attributes: Attributes { gid: 6, ..attributes(0o660, 0, (0, 0)) },
        link: 0,
    };
    let link = Body::Symlink { target: b"a", attributes: attributes(0o777, 0, (0, 0)), link: 0 };
    let bodies: [(&[u8], Body<'_>); 6] = [
        (b"a", Body::File { size: 6, link: 1, attributes: None }),
        (b"b", Body::Link { link: 1 }),
        (b"d", Body::Directory),
        (b"f", Body::Failed),
        (b"l", link),
        (b"v", special),
    ];
    let head = EntriesHead { directory: 0, first_leaf: 0, first_file: 0, count: 6 };
    let payload = put(|out| {
        head.put(out);
        bodies.into_iter().for_each(|(name, body)| Entry { name, body }.put(out));
    });
    golden(FrameType::Entries, &payload, |rest| {
        let (head, entries) = read_entries(rest).unwrap();
        put(|out| {
            head.put(out);
            entries.iter().for_each(|entry| entry.put(out));
        })
    });
}

#[test]
fn compared_entries() {
    let attributes = attributes(0o644, 1_000, (1_500_000_000, 1));
    let file = Entry { name: b"a", body: Body::File { size: 6, link: 0, attributes: Some(attributes) } };
    let payload = put(|out| file.put(out));
    assert_eq!(hexes(&bytes("Files that are compared", "hex")), hexes(&payload));
}

#[test]
fn check() {
    let digest = |text: &[u8]| *blake3::hash(text).as_bytes();
    let hello = Check {
        file: 3,
        size: 6,
        form: Form::Plain,
        digest: digest(b"hello\n"),
        attributes: attributes(0o644, 1_000, (1_500_000_000, 1)),
    };
    let empty = Check {
        file: 7,
        size: 0,
        form: Form::Plain,
        digest: digest(b""),
        attributes: attributes(0o600, 0, (1 << 32, 0)),
    };
    let counted = |checks: &[Check]| {
        put(|out| {
            out.put_u32(checks.len() as u32);
            checks.iter().for_each(|check| check.put(out));
        })
    };
    golden(FrameType::Check, &counted(&[hello, empty]), |rest| counted(&read_checks(rest).unwrap()));
}

#[test]
fn marks() {
    let end = DirectoryEnd { directory: 0, entries: 6, complete: true };
    let end_again = |rest: &[u8]| put(|out| DirectoryEnd::read(rest).unwrap().put(out));
    golden(FrameType::DirectoryEnd, &put(|out| end.put(out)), end_again);
    let again = |rest: &[u8]| put(|out| DirectoryMark::read(rest).unwrap().put(out));
    golden(FrameType::DirectoryFailed, &put(|out| DirectoryMark { directory: 0, count: 2 }.put(out)), again);
}

#[test]
fn items() {
    let item = Item {
        side: Side::Source,
        class: ItemClass::NotKept,
        path: b"a/b".to_vec(),
        what: "owner".to_owned(),
        errno: 1,
        detail: "no".to_owned(),
    };
    let write = |items: &[Item]| {
        put(|out| {
            out.put_u32(items.len() as u32);
            items.iter().for_each(|item| put_item(out, item));
        })
    };
    golden(FrameType::Items, &write(&[item]), |rest| write(&read_items(rest, Side::Source).unwrap()));
}

#[test]
fn ack() {
    let exceptions = vec![(1, 5, Outcome::Failed), (2, 0, Outcome::Duplicate([0x11; 32], [0x22; 32]))];
    let ack = Ack { frames: 2, exceptions };
    golden(FrameType::Ack, &put(|out| ack.put(out)), |rest| put(|out| Ack::read(rest).unwrap().put(out)));
    let outcomes: Vec<_> = rows("ACK").into_iter().filter(|row| row[0].len() == 1 && row.len() == 3).collect();
    let named = [
        (Outcome::Failed, "failed"),
        (Outcome::Again, "again"),
        (ack.exceptions[1].2, "duplicate"),
        (Outcome::Same, "same"),
        (Outcome::Check, "check"),
        (Outcome::Base(1 << 20), "base"),
        (Outcome::Lacks(Blocks::all(8_192)), "lacks"),
        (Outcome::Differs, "differs"),
        (Outcome::Later, "later"),
    ];
    assert_eq!(outcomes.len(), named.len());
    for (outcome, name) in named {
        let sent = put(|out| Ack { frames: 1, exceptions: vec![(1, 0, outcome)] }.put(out));
        let row = outcomes.iter().find(|row| row[1] == name).unwrap();
        assert_eq!(row[0], sent[24].to_string(), "{name}");
    }
}

#[test]
fn pack() {
    let pair = (b"user.k".as_slice().into(), b"set yes".as_slice().into());
    let xattrs = Xattrs::from_pairs(vec![pair]);
    let attributes = Attributes { xattrs, ..attributes(0o644, 1_000, (1_500_000_000, 1)) };
    let file = PackedFile { file: 0, size: 6, digest: *blake3::hash(b"hello\n").as_bytes(), attributes };
    let write = |files: &[PackedFile], data: &[u8]| {
        put(|out| {
            out.put_u32(files.len() as u32);
            files.iter().for_each(|file| file.put(out));
            out.extend_from_slice(data);
        })
    };
    golden(FrameType::Pack, &write(&[file], b"hello\n"), |rest| {
        let (files, total, data) = read_pack(rest).unwrap();
        assert_eq!((total, data), (6, b"hello\n".as_slice()));
        write(&files, data)
    });
}

#[test]
fn piece() {
    let of = FileAttempt { file: 1, attempt: 0 };
    let piece = Piece { of, index: 1, length: 8, digest: [0xaa; 32], segments: vec![(4, 4)] };
    let payload = put(|out| {
        piece.put(out);
        out.extend_from_slice(&[1, 2, 3, 4]);
    });
    golden(FrameType::Piece, &payload, |rest| {
        let (piece, data) = Piece::read(rest).unwrap();
        assert_eq!(piece.data_length(), data.len());
        put(|out| {
            piece.put(out);
            out.extend_from_slice(data);
        })
    });
}

#[test]
fn sums_and_patch() {
    let of = FileAttempt { file: 1, attempt: 0 };
    // A last piece of two blocks, the second of one byte.
    let data = [vec![0; 4_096], vec![b'x']].concat();
    let write = |of, first, length, digest: &Digest, sums: &[u64]| {
        put(|out| {
            Sums::put_head(out, of, first, length);
            put_piece_sums(out, digest, sums.iter().copied());
        })
    };
    let written: Vec<u64> = sums(&data).collect();
    golden(FrameType::Sums, &write(of, 3, 4_097, &[0xaa; 32], &written), |rest| {
        let read = Sums::read(rest).unwrap();
        let piece = read.pieces().next().unwrap();
        assert!(piece.missing(&data).is_empty() && read.pieces().count() == 1);
        assert_eq!(piece.missing(&data[..4_096]).bytes(4_097), 1);
        write(read.of, read.first, read.length, &piece.digest, &written)
    });
    let blocks = Blocks::missing(4_097, sums(&data), &data[..4_096]);
    let patch = Patch { of, index: 3, length: 4_097, digest: [0xaa; 32], blocks };
    let payload = put(|out| {
        patch.put(out);
        out.push(b'x');
    });
    golden(FrameType::Patch, &payload, |rest| {
        let (patch, data) = Patch::read(rest).unwrap();
        assert_eq!((patch.data_length(), data), (1, b"x".as_slice()));
        put(|out| {
            patch.put(out);
            out.extend_from_slice(data);
        })
    });
    // 64 lanes that share one file may scatter its pieces no more than a target takes.
    assert!(64 * WINDOW_FRAMES as u64 * (SUMS_PIECES / 2 + 1) <= MAX_GAPS as u64);
}

#[test]
fn hole_again_end_and_gone() {
    let of = FileAttempt { file: 1, attempt: 1 };
    let hole = put(|out| Hole { of, first: 4, count: 4_096 }.put(out));
    golden(FrameType::Hole, &hole, |rest| put(|out| Hole::read(rest).unwrap().put(out)));
    let again = put(|out| Again { of, size: 2 << 30, form: Form::Block }.put(out));
    golden(FrameType::Again, &again, |rest| put(|out| Again::read(rest).unwrap().put(out)));
    let end = End { of, digest: [0xbb; 32], attributes: attributes(0o600, 0, (1 << 32, 0)) };
    golden(FrameType::End, &put(|out| end.put(out)), |rest| put(|out| End::read(rest).unwrap().put(out)));
    golden(FrameType::Gone, &put(|out| put_gone(out, 7)), |rest| put(|out| put_gone(out, read_gone(rest).unwrap())));
}
