//! File systems that take several spellings for one name: what a directory lists may be what the source announces.

use std::fs;
use std::time::{Duration, Instant};

use pvferry_core::fs::Errno;
use pvferry_core::session::item::{Item, ItemClass};
use pvferry_core::target::{Comparison, Existing};
use pvferry_core::wire::frame::FrameType;
use pvferry_core::wire::index::Body;

use super::rogue::{Bench, symlink};
use super::volumes::Place;

/// As a file system without case would have it: a directory lists `foo` and `link`, and `Foo` and `Link` are taken all
/// the same. Here they come to be taken after the directory was read.
#[test]
fn what_may_be_an_announced_entry_in_another_spelling_is_not_removed() {
    let place = Place::new();
    let root = place.root();
    for folder in ["foo", "other"] {
        fs::create_dir(root.join(folder)).unwrap();
        fs::write(root.join(folder).join("data"), "precious").unwrap();
    }
    fs::write(root.join("link"), "precious").unwrap();
    let mut bench = Bench::onto(place, |config| {
        config.terms.accept_contents = true;
        config.compare = Some(Comparison::default());
        config.existing = Existing::Mirror;
    });
    bench.root();
    assert_eq!(bench.index.answer(), None);
    fs::create_dir(root.join("Foo")).unwrap();
    fs::write(root.join("Link"), "taken").unwrap();
    bench.entries((0, 0, 0), &[(b"Foo", Body::Directory), (b"Link", symlink(b"x")), (b"other", Body::Directory)]);
    bench.mark(FrameType::DirectoryEnd, 0, 3);
    for (id, leaf, name) in [(1, 0, b"Foo".as_slice()), (2, 2, b"other")] {
        bench.directory(id, 0, leaf, name).mark(FrameType::DirectoryEnd, id, 0);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while bench.witness.count(ItemClass::Skipped) == 0 && Instant::now() < deadline {
        bench.witness.look(Duration::from_millis(20));
    }
    let told =
        |item: &Item| (item.class, String::from_utf8_lossy(&item.path).into_owned(), item.what.clone(), item.errno);
    let mut items: Vec<_> = bench.witness.items.iter().map(told).collect();
    items.sort();
    let taken = Errno::EXIST.raw_os_error();
    assert_eq!(
        items,
        [
            (ItemClass::NotWritten, "Foo".to_owned(), "directory".to_owned(), taken),
            (ItemClass::NotWritten, "Link".to_owned(), "symlink".to_owned(), taken),
            (ItemClass::Skipped, String::new(), "extra entries".to_owned(), 0),
        ]
    );
    assert_eq!(fs::read(root.join("foo/data")).unwrap(), b"precious");
    assert_eq!(fs::read(root.join("link")).unwrap(), b"precious");
    // A directory whose names hold what they promise is mirrored.
    while root.join("other/data").exists() && Instant::now() < deadline {
        bench.witness.look(Duration::from_millis(20));
    }
    assert!(!root.join("other/data").exists());
}
