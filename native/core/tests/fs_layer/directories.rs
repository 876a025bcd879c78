use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Instant;

use pvferry_core::fs::Errno;
use pvferry_core::fs::clear::clear;
use pvferry_core::fs::directory_path::{Directories, DirectoryNode, entry_path, path_bytes};
use pvferry_core::fs::make;
use pvferry_core::fs::open::Opener;
use pvferry_core::fs::stat::{InodeKey, Kind, stat_at, stat_fd};

use crate::bed::{self, Bed, fd};

fn directories(bed: &Bed, capacity: usize) -> Directories {
    Directories::new(bed.root(), Opener::new(false), capacity)
}

/// Makes a chain of directories and returns its nodes, the root first.
pub(crate) fn chain(directories: &Directories, levels: usize, name: &[u8]) -> Vec<Arc<DirectoryNode>> {
    let mut nodes = vec![DirectoryNode::root()];
    for level in 0..levels {
        let parent = directories.descriptor(&nodes[level]).unwrap();
        let made = directories.opener().make_directory(fd(&*parent), name).unwrap();
        nodes.push(DirectoryNode::child(&nodes[level], name));
        directories.adopt(&nodes[level + 1], made).unwrap();
    }
    nodes
}

#[test]
fn five_thousand_levels_work_with_sixteen_descriptors() {
    let bed = bed::quick();
    let directories = directories(&bed, 16);
    let nodes = chain(&directories, 5000, b"0123456789");
    let deepest = nodes.last().unwrap();
    let held = directories.descriptor(deepest).unwrap();
    make::node(fd(&*held), b"here", Kind::Fifo, 0o600, (0, 0)).unwrap();
    assert_eq!(directories.open_count(), 16);
    assert_eq!(path_bytes(deepest).len(), 5000 * 11 - 1);
    assert_eq!(deepest.depth, 5000);
    // From the top and back: everything that is needed is opened again.
    for node in nodes.iter().step_by(499).chain(nodes.iter().rev().step_by(499)) {
        let fd_of_node = directories.descriptor(node).unwrap();
        let stat = stat_fd(fd(&*fd_of_node)).unwrap();
        assert!(node.identity().is_none_or(|identity| identity == stat.key()));
    }
    stat_at(fd(&*directories.descriptor(deepest).unwrap()), b"here").unwrap();
    drop((nodes, held, directories));
    assert_eq!(clear(fd(&bed.root()), &[]).unwrap(), 5001);
}

#[test]
fn a_directory_swapped_for_a_link_or_another_is_noticed() {
    let bed = bed::quick();
    for path in ["a", "a/b", "other", "other/b"] {
        std::fs::create_dir(bed.join(path)).unwrap();
    }
    let directories = directories(&bed, 8);
    let a = DirectoryNode::child(&DirectoryNode::root(), b"a");
    let b = DirectoryNode::child(&a, b"b");
    directories.descriptor(&b).unwrap();
    let forget = || [&a, &b].map(|node| directories.forget(node));
    forget();
    assert_eq!(directories.open_count(), 0);
    std::fs::rename(bed.join("a"), bed.join("was-a")).unwrap();
    assert_eq!(directories.descriptor(&b).err(), Some(Errno::NOENT));
    symlink("other", bed.join("a")).unwrap();
    assert_eq!(directories.descriptor(&b).err(), Some(Errno::NOTDIR));
    std::fs::remove_file(bed.join("a")).unwrap();
    std::fs::rename(bed.join("other"), bed.join("a")).unwrap();
    assert_eq!(directories.descriptor(&b).err(), Some(Errno::STALE));
    std::fs::remove_dir_all(bed.join("a")).unwrap();
    std::fs::rename(bed.join("was-a"), bed.join("a")).unwrap();
    directories.descriptor(&b).unwrap();

    let expected = DirectoryNode::child(&DirectoryNode::root(), b"a");
    expected.expect_identity(InodeKey { device: 1, inode: 2 });
    assert_eq!(directories.descriptor(&expected).err(), Some(Errno::STALE));
}

#[test]
fn a_very_long_chain_is_dropped_without_recursion() {
    let mut node = DirectoryNode::root();
    for _ in 0..1_000_000 {
        node = DirectoryNode::child(&node, b"x");
    }
    std::thread::Builder::new().stack_size(64 << 10).spawn(move || drop(node)).unwrap().join().unwrap();
}

#[test]
fn paths_are_relative() {
    let root = DirectoryNode::root();
    let inner = DirectoryNode::child(&DirectoryNode::child(&root, b"a"), b"\xff");
    assert_eq!(path_bytes(&root), b"");
    assert_eq!(path_bytes(&inner), b"a/\xff");
    assert_eq!(entry_path(&root, b"n"), b"n");
    assert_eq!(entry_path(&inner, b"n"), b"a/\xff/n");
}

#[test]
fn threads_may_share_the_cache() {
    let bed = bed::quick();
    let directories = directories(&bed, 8);
    let nodes = chain(&directories, 40, b"d");
    let inodes: Vec<u64> =
        nodes.iter().map(|node| stat_fd(fd(&*directories.descriptor(node).unwrap())).unwrap().inode).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (directories, nodes, inodes) = (&directories, &nodes, &inodes);
            scope.spawn(move || {
                for step in 0..2000 {
                    let at = (step * (7 + thread) + thread) % nodes.len();
                    let found = directories.descriptor(&nodes[at]).unwrap();
                    assert_eq!(stat_fd(fd(&*found)).unwrap().inode, inodes[at]);
                    if step % 5 == 0 {
                        directories.forget(&nodes[(at + 1) % nodes.len()]);
                    }
                }
            });
        }
    });
    assert!(directories.open_count() <= 8);
}

#[test]
fn a_wide_tree_is_walked_quickly() {
    let bed = bed::quick();
    let directories = directories(&bed, 64);
    let root = DirectoryNode::root();
    let begin = Instant::now();
    for number in 0..2000 {
        let made = directories.opener().make_directory(fd(&**directories.root()), format!("{number}").as_bytes());
        let node = DirectoryNode::child(&root, format!("{number}").as_bytes());
        directories.adopt(&node, made.unwrap()).unwrap();
        directories.descriptor(&node).unwrap();
    }
    assert_eq!(directories.open_count(), 64);
    assert!(begin.elapsed().as_secs() < 10);
}
