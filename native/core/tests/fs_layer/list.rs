use pvferry_core::fs::list::{ListBuffer, Listing};
use pvferry_core::fs::make;
use pvferry_core::fs::stat::Kind;

use crate::bed::{self, fd};

#[test]
fn every_byte_a_name_may_hold_is_listed_in_byte_order() {
    bed::each(|bed| {
        let folder = bed.directory("folder");
        let bytes = (1..=255_u8).filter(|byte| *byte != b'/');
        let mut names: Vec<Vec<u8>> = bytes.map(|byte| vec![b'n', byte]).collect();
        names.push(vec![0xff; 255]);
        names.push(b"...".to_vec());
        for name in names.iter().rev() {
            rustix::fs::openat(
                &folder,
                name.as_slice(),
                rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY,
                0o600.into(),
            )
            .unwrap();
        }
        names.sort();
        let listing = Listing::read(fd(&folder), &mut ListBuffer::new()).unwrap();
        assert_eq!(listing.iter().map(|(name, _)| name.to_vec()).collect::<Vec<_>>(), names);
        assert_eq!(listing.len(), names.len());
        let again = Listing::read(fd(&folder), &mut ListBuffer::new()).unwrap();
        assert_eq!(again.len(), names.len());
    });
}

#[test]
fn a_large_directory_takes_many_buffers() {
    let bed = bed::quick();
    let folder = bed.directory("folder");
    for number in 0..20_000 {
        rustix::fs::symlinkat("x", &folder, format!("{number:0100}")).unwrap();
    }
    let listing = Listing::read(fd(&folder), &mut ListBuffer::new()).unwrap();
    assert_eq!(listing.len(), 20_000);
    assert_eq!(listing.get(19_999).map(|(name, _)| name.to_vec()), Some(format!("{:0100}", 19_999).into_bytes()));
    assert_eq!(listing.get(20_000), None);
}

#[test]
fn the_hint_is_the_kind_or_nothing() {
    bed::each(|bed| {
        let folder = bed.directory("folder");
        bed.file("folder/a", b"");
        drop(bed.directory("folder/b"));
        make::symlink(fd(&folder), b"c", b"a").unwrap();
        make::node(fd(&folder), b"d", Kind::Fifo, 0o600, (0, 0)).unwrap();
        make::node(fd(&folder), b"e", Kind::Socket, 0o600, (0, 0)).unwrap();
        let listing = Listing::read(fd(&folder), &mut ListBuffer::new()).unwrap();
        let expected = [Kind::File, Kind::Directory, Kind::Symlink, Kind::Fifo, Kind::Socket];
        for ((_, hint), kind) in listing.iter().zip(expected) {
            assert!(hint.is_none_or(|hint| hint == kind), "{hint:?} is not {kind:?}");
        }
    });
}

#[test]
fn the_first_names_leave_out_what_is_known() {
    let bed = bed::plain();
    for name in ["b", "a", ".pvferry", "c"] {
        bed.file(name, b"");
    }
    let names = Listing::first(fd(&bed.root()), 2, &[b".pvferry"]).unwrap();
    assert_eq!(names, [Box::from(&b"a"[..]), Box::from(&b"b"[..])]);
    let removed = bed.directory("removed");
    std::fs::remove_dir(bed.join("removed")).unwrap();
    let gone = Listing::read(fd(&removed), &mut ListBuffer::new()).map(|listing| listing.len());
    assert_eq!(gone.err(), Some(pvferry_core::fs::Errno::NOENT));
}
