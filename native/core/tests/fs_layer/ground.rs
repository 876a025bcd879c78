//! A volume that something shall be removed from, and what a session would lend to that.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pvferry_core::error::CoreError;
use pvferry_core::fs::apply::Applier;
use pvferry_core::fs::directory_path::{Directories, DirectoryNode};
use pvferry_core::fs::open::{Opener, open_volume};
use pvferry_core::fs::probe::probe;
use pvferry_core::fs::process::ProcessIds;
use pvferry_core::session::item::{Item, ItemClass};
use pvferry_core::session::ledger::Ledger;
use pvferry_core::session::stop::Stop;
use pvferry_core::target::extras::{Extras, Remover};

use crate::bed::{Bed, fd};

/// A volume with pvferry's folder, and what a session would lend to a removal.
pub(crate) struct Ground {
    pub(crate) root: Arc<DirectoryNode>,
    pub(crate) directories: Directories,
    applier: Applier,
    pub(crate) stop: Stop,
    ledger: Ledger,
    items: RefCell<Vec<Item>>,
    volume: PathBuf,
}

impl Ground {
    pub(crate) fn new(bed: &Bed, ids: &ProcessIds) -> Ground {
        std::fs::create_dir(bed.join(".pvferry")).unwrap();
        let opener = Opener::new(false);
        let abilities = probe(&opener, fd(&folder(bed)), ids).unwrap();
        Ground {
            root: DirectoryNode::root(),
            directories: Directories::new(bed.root(), opener, 64),
            applier: Applier::new(&abilities, false),
            stop: Stop::default(),
            ledger: Ledger::default(),
            items: RefCell::default(),
            volume: bed.path.clone(),
        }
    }

    /// A directory as a session knows it: opened before.
    pub(crate) fn node(&self, path: &str) -> Arc<DirectoryNode> {
        let names = path.split('/').filter(|name| !name.is_empty());
        let node = names.fold(Arc::clone(&self.root), |parent, name| DirectoryNode::child(&parent, name.as_bytes()));
        self.directories.descriptor(&node).unwrap();
        node
    }

    pub(crate) fn with<T>(&self, run: impl FnOnce(&Remover<'_>) -> T) -> T {
        run(&Remover {
            volume: &self.volume,
            directories: &self.directories,
            applier: &self.applier,
            fsync_each: true,
            stop: &self.stop,
            filter: None,
            ledger: &self.ledger,
            report: &|item| self.items.borrow_mut().push(item),
        })
    }

    pub(crate) fn remove_all(&self, extras: &Extras) -> Result<u64, CoreError> {
        self.with(|remover| extras.remove_all(remover))
    }

    /// Class, path, subject and errno of each item.
    pub(crate) fn items(&self) -> Vec<(ItemClass, String, String, &'static str)> {
        let shown = |item: &Item| {
            let path = String::from_utf8_lossy(&item.path).into_owned();
            (item.class, path, item.what.clone(), item.errno_name().unwrap_or(""))
        };
        self.items.borrow().iter().map(shown).collect()
    }

    pub(crate) fn deleted(&self) -> u64 {
        let none = [0; 32];
        let roots = pvferry_core::digest::leaf::Leaf { content: none, metadata: none };
        self.ledger.outcome(roots, 0, 0).deleted
    }
}

pub(crate) fn folder(bed: &Bed) -> OwnedFd {
    open_volume(&bed.join(".pvferry")).unwrap()
}
