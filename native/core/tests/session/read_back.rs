//! A target that reads back what it has written: everything is finished as without it, and counted.

use pvferry_core::fs::medium::Medium;

use super::pair::{Pair, expect_equal};
use super::volumes::{Place, furnish};

#[test]
fn every_file_is_read_back_before_it_is_finished() {
    for lanes in [1, 3] {
        let (from, to) = (Place::new(), Place::new());
        furnish(&from.root());
        let mut pair = Pair::reading_back(&from.root(), &to.root(), lanes);
        let settled = pair.copy();
        expect_equal(&settled, &from.root(), &to.root());
        let read_back = settled.target.read_back.unwrap();
        if read_back.medium != Medium::None {
            assert_eq!((read_back.files, read_back.bytes), (settled.target.entries.files, settled.target.bytes));
        }
        assert_eq!(pair.to.items, []);
        to.expect_canary();
    }
}

/// More than waits for the medium at a time: lanes are held up and go on.
#[test]
fn lanes_wait_for_the_medium() {
    let (from, to) = (Place::new(), Place::new());
    for number in 0..6 {
        let bytes: Vec<u8> = (0..20 << 20).map(|at: usize| (at / 4_096 + number) as u8).collect();
        std::fs::write(from.root().join(number.to_string()), bytes).unwrap();
    }
    let settled = Pair::reading_back(&from.root(), &to.root(), 2).copy();
    expect_equal(&settled, &from.root(), &to.root());
    let read_back = settled.target.read_back.unwrap();
    assert!(read_back.medium == Medium::None || read_back.bytes == 120 << 20);
}
