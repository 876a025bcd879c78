//! Volumes that are large in one way or another.

use std::fs;
use std::path::Path;
use std::process::Command;

use pvferry_core::session::item::ItemClass;

use super::alone::within_mebibytes;
use super::pair::{Pair, expect_equal};
use super::volumes::Place;

#[test]
fn two_hundred_thousand_entries_in_one_directory_take_little_memory() {
    within_mebibytes(96, "sizes::two_hundred_thousand_entries_in_one_directory_take_little_memory", || {
        let shm = Path::new("/dev/shm");
        let (from, to) = (Place::within(shm), Place::within(shm));
        for number in 0..200_000_u32 {
            fs::write(from.root().join(format!("entry-{}", number.reverse_bits())), b"").unwrap();
        }
        let settled = Pair::open(&from.root(), &to.root(), 2).copy();
        expect_equal(&settled, &from.root(), &to.root());
        assert_eq!(settled.target.entries.files, 200_000);
    });
}

#[test]
fn links_that_the_target_refuses_become_copies_and_items() {
    // tmpfs has no limit of links; ext4 takes 65,000 names of one file.
    let (from, to) = (Place::within(Path::new("/dev/shm")), Place::new());
    let kind = Command::new("stat").args(["-f", "-c", "%T"]).arg(to.root()).output().unwrap();
    let names = if kind.stdout.starts_with(b"ext") { 65_003 } else { 100 };
    fs::write(from.root().join("0"), b"of many names").unwrap();
    for number in 1..names {
        fs::hard_link(from.root().join("0"), from.root().join(format!("{number}"))).unwrap();
    }
    let mut pair = Pair::open(&from.root(), &to.root(), 1);
    let settled = pair.copy();
    assert_eq!(settled.source.roots.content, settled.target.roots.content);
    let refused = names - names.min(65_000);
    assert_eq!(pair.to.count(ItemClass::NotKept), refused);
    assert_eq!(pair.to.items.len(), refused);
    assert!(pair.to.items.iter().all(|item| item.errno_name() == Some("EMLINK")), "{:?}", pair.to.items);
    assert_eq!(fs::read_dir(to.root()).unwrap().count(), names);
    assert_eq!(fs::read(to.root().join(format!("{}", names - 1))).unwrap(), b"of many names");
}
