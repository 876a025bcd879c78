//! Rules that exclude entries of a volume, in the words of gitignore(5), matched relative to the volume's root.
//!
//! Matching is the crate `ignore`'s; the same rules say the same on both sides, and what git would ignore. Where git and
//! the crate read a pattern differently, [`pattern`] puts it in words that mean the same to both, or refuses it.
//!
//! Only entries are matched whose directories are not excluded: whoever walks does not enter those.

mod pattern;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::fs::directory_path::{DirectoryNode, path_bytes};
use crate::fs::stat::Kind;

/// Compiled rules. Shared by threads.
#[derive(Debug)]
pub struct Filter(Gitignore);

/// A rule that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule {
    /// Its place in the list, from 0.
    pub rule: usize,
    /// Completes "the pattern ...".
    pub why: String,
}

impl Filter {
    /// Compiles rules: a pattern of gitignore(5) each, later ones win. None without any rule.
    pub fn compile(rules: &[String]) -> Result<Option<Arc<Self>>, BadRule> {
        if rules.is_empty() {
            return Ok(None);
        }
        let mut builder = GitignoreBuilder::new("");
        builder.allow_unclosed_class(false);
        for (rule, line) in rules.iter().enumerate() {
            let line = pattern::plain(line).map_err(|why| BadRule { rule, why: why.to_owned() })?;
            if let Err(error) = builder.add_line(None, &line) {
                return Err(BadRule { rule, why: format!("cannot be understood: {}", reason(&error)) });
            }
        }
        let last = rules.len() - 1;
        let too_much = |error| BadRule { rule: last, why: format!("is one too many: {}", reason(&error)) };
        builder.build().map(|rules| Some(Arc::new(Self(rules)))).map_err(too_much)
    }

    /// For the entries of one directory.
    pub fn within(&self, directory: &DirectoryNode) -> Within<'_> {
        let mut path = path_bytes(directory);
        if !path.is_empty() {
            path.push(b'/');
        }
        Within { filter: self, base: path.len(), path }
    }

    fn excludes(&self, path: &[u8], is_directory: bool) -> bool {
        self.0.matched(Path::new(OsStr::from_bytes(path)), is_directory).is_ignore()
    }
}

fn reason(error: &ignore::Error) -> String {
    match error {
        ignore::Error::Glob { err, .. } => err.clone(),
        other => other.to_string(),
    }
}

/// The rules as they bear on the entries of one directory.
pub struct Within<'f> {
    filter: &'f Filter,
    /// Of the directory, with a slash behind it, and of the last entry that was asked for.
    path: Vec<u8>,
    base: usize,
}

impl Within<'_> {
    /// Whether an entry is excluded. Of an unknown kind: whether it would be as a directory or as anything else.
    pub fn excludes(&mut self, name: &[u8], kind: Option<Kind>) -> bool {
        self.path.truncate(self.base);
        self.path.extend_from_slice(name);
        match kind {
            Some(kind) => self.filter.excludes(&self.path, kind == Kind::Directory),
            None => self.filter.excludes(&self.path, true) || self.filter.excludes(&self.path, false),
        }
    }
}

#[cfg(test)]
mod tests;
