//! The worked examples of the section "Digests".

use std::collections::BTreeMap;

use pvferry_core::digest::file::{FileDigest, Form, PIECE, piece_digest, piece_length, pieces};
use pvferry_core::digest::leaf::{self, Leaf, Payload, leaf};
use pvferry_core::digest::links::{group_digest, links_digest, path_hash};
use pvferry_core::digest::subtrees::{Join, Subtrees};
use pvferry_core::digest::{Digest, hex};
use pvferry_core::fs::apply::Attributes;
use pvferry_core::fs::stat::{Kind, Timestamp};
use pvferry_core::fs::xattrs::Xattrs;

use crate::document::rows;

/// Rows of a section whose second cell is a digest.
fn documented(title: &str) -> BTreeMap<String, String> {
    rows(title).into_iter().filter(|row| row.len() == 2).map(|row| (row[0].replace('`', ""), row[1].clone())).collect()
}

fn named(values: &[(&str, Digest)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, digest)| ((*name).to_owned(), hex(digest))).collect()
}

#[test]
fn files() {
    let data = vec![0; PIECE as usize + 1];
    let size = data.len() as u64;
    let mut values = Vec::new();
    for (form, names) in [
        (Form::Plain, ["plain, piece 0", "plain, piece 1", "plain, file"]),
        (Form::Block, ["block, piece 0", "block, piece 1", "block, file"]),
    ] {
        let mut file = FileDigest::new(form, size);
        for index in 0..pieces(size) {
            let start = (index * PIECE) as usize;
            let piece = &data[start..start + piece_length(size, index).unwrap()];
            let digest = piece_digest(form, size, index, piece);
            file.add_piece(index, digest);
            values.push((names[index as usize], digest));
        }
        values.push((names[2], file.finish().unwrap()));
    }
    assert_eq!(documented("File digests"), named(&values));
    assert_eq!(documented("File digests")["plain, file"], blake3::hash(&data).to_hex().to_string());
}

struct Entries;

impl Join for Entries {
    fn join(&self, left: &Digest, right: &Digest) -> Digest {
        leaf::join(left, right)
    }
}

fn root(leaves: &[Digest]) -> Digest {
    let mut tree = Subtrees::new(Entries);
    (0..).zip(leaves).for_each(|(place, leaf)| tree.add(place, *leaf));
    tree.finish(leaves.len() as u64).unwrap()
}

fn attributes(mode: u32, id: u32, (seconds, nanoseconds): (i64, u32)) -> Attributes {
    Attributes { mode, uid: id, gid: id, mtime: Timestamp { seconds, nanoseconds }, xattrs: Xattrs::default() }
}

struct Example {
    a: Leaf,
    b: Leaf,
    c: Leaf,
    d: Leaf,
    l: Leaf,
}

fn entries() -> Example {
    let pair = (b"user.k".as_slice().into(), b"set yes".as_slice().into());
    let of_file = Attributes { xattrs: Xattrs::from_pairs(vec![pair]), ..attributes(0o644, 1_000, (1_500_000_000, 1)) };
    let payload = Payload::File { form: Form::Plain, digest: *blake3::hash(b"hello\n").as_bytes() };
    let empty = Leaf { content: leaf::empty_root(), metadata: leaf::empty_root() };
    let of_directory = attributes(0o700, 1_000, (-2, 500_000_000));
    let device = Payload::Device { major: 1, minor: 3 };
    Example {
        a: leaf(b"a", Kind::File, &of_file, &payload),
        b: leaf(b"b", Kind::File, &of_file, &payload),
        c: leaf(b"c", Kind::CharDevice, &attributes(0o666, 0, (0, 0)), &device),
        d: leaf(b"d", Kind::Directory, &of_directory, &Payload::Directory { roots: empty }),
        // Whatever mode a file system shows for a symlink.
        l: leaf(b"l", Kind::Symlink, &attributes(0o777, 0, (0, 0)), &Payload::Symlink { target: b"a" }),
    }
}

#[test]
fn tree() {
    let Example { a, b, c, d, l } = entries();
    let all = [a, b, c, d, l];
    let top = [0; 32];
    let (path_a, path_b) = (path_hash(&top, b"a"), path_hash(&top, b"b"));
    let links = links_digest(group_digest(&[path_a, path_b]).into_iter().collect());
    let roots = Leaf { content: root(&all.map(|leaf| leaf.content)), metadata: root(&all.map(|leaf| leaf.metadata)) };
    let of_root = attributes(0o755, 0, (1_000_000_000, 0));
    let volume = leaf::volume_roots(&leaf(b"", Kind::Directory, &of_root, &Payload::Directory { roots }), &links);
    let values = named(&[
        ("content leaf of a", a.content),
        ("metadata leaf of a", a.metadata),
        ("content leaf of b", b.content),
        ("metadata leaf of b", b.metadata),
        ("content leaf of c", c.content),
        ("metadata leaf of c", c.metadata),
        ("content leaf of d", d.content),
        ("metadata leaf of d", d.metadata),
        ("content leaf of l", l.content),
        ("metadata leaf of l", l.metadata),
        ("path hash of a", path_a),
        ("L", links),
        ("content root", volume.content),
        ("metadata root", volume.metadata),
    ]);
    assert_eq!(documented("Example"), values);
}
