use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::digest::file::{NO_DIGEST, PIECE};
use crate::fs::apply::Attributes;
use crate::fs::directory_path::DirectoryNode;
use crate::source::directory::{DirectoryData, SourceDirectory};

fn task(size: u64) -> FileTask {
    let data = DirectoryData {
        id: 0,
        node: DirectoryNode::root(),
        attributes: Attributes::default(),
        path_hash: NO_DIGEST,
        failed: AtomicBool::new(false),
    };
    FileTask {
        directory: SourceDirectory::new(None, data),
        name: (*b"file").into(),
        leaf: 0,
        file: 0,
        size,
        data: size,
        link: None,
        base: 0,
        sent_before: false,
        accounted: false,
        refused: 0,
    }
}

#[test]
fn of_a_new_attempt_nothing_is_handed_out_before_the_target_has_heard_of_it() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![7; 2 * PIECE as usize]).unwrap();
    let stat = stat_fd(file.as_fd()).unwrap();
    let (large, surprising) = Large::new(task(stat.size), file.try_clone().unwrap().into(), stat, Form::Plain).unwrap();
    assert!(!surprising);
    // The file stays where lanes find it for as long as none of them has found that nothing is left.
    for index in 0..2 {
        let part = large.next_part().unwrap().unwrap();
        assert_eq!(large.piece_done(index, NO_DIGEST, &part), index == 1);
    }
    file.write_all(b"more").unwrap();
    assert!(matches!(large.look_again(3), Ok(Part::Again)));
    assert!(large.next_part().unwrap().is_none());
    large.announced(0);
    let part = large.next_part().unwrap();
    assert!(matches!(part, Some(Part::Piece { attempt: 1, index: 0, .. })));
}
