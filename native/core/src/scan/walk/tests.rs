//! What the walk says of entries that go away under it.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::scan::attributes::Report;
use crate::scan::volume::ScanPolicy;
use crate::session::item::Side;

/// Removes each directory but the root between its opening and its listing.
struct Remover {
    root: PathBuf,
    items: Mutex<Vec<Item>>,
}

impl Report for Remover {
    fn side(&self) -> Side {
        Side::Source
    }

    fn item(&self, item: Item) {
        self.items.lock().unwrap().push(item);
    }

    fn left_out(&self, _kind: &str) {}
}

impl Visitor for Remover {
    type Directory = ();

    fn directory(
        &self,
        parent: Option<(&Arc<()>, u64)>,
        node: &Arc<DirectoryNode>,
        _attributes: Attributes,
    ) -> Result<Arc<()>, CoreError> {
        if parent.is_some() {
            fs::remove_dir(self.root.join(String::from_utf8_lossy(&node.name).as_ref())).unwrap();
        }
        Ok(Arc::new(()))
    }

    fn entries(&self, _directory: &Arc<()>, _first: u64, _batch: &[Scanned<'_>]) -> Result<(), CoreError> {
        Ok(())
    }

    fn end(&self, _directory: &Arc<()>, _entries: u64, _complete: bool) -> Result<(), CoreError> {
        Ok(())
    }

    fn failed(&self, _parent: &Arc<()>, _entry: u64) -> Result<(), CoreError> {
        Ok(())
    }
}

/// A stage pass must not end as if something could not be read.
#[test]
fn a_directory_that_is_removed_before_it_is_listed_has_vanished() {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("d")).unwrap();
    let policy = ScanPolicy { one_file_system: true, keep_selinux: false, file_attributes: false, filter: None };
    let volume = Volume::open(place.path(), policy).unwrap();
    let remover = Remover { root: place.path().to_owned(), items: Mutex::default() };
    walk(&volume, &remover, 1, &Stop::default()).unwrap();
    let items = remover.items.into_inner().unwrap();
    let told: Vec<_> = items.iter().map(|item| (item.class, &item.path[..], &item.what[..])).collect();
    assert_eq!(told, [(ItemClass::Changed, &b"d"[..], "vanished")]);
}
