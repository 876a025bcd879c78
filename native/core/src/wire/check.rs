//! CHECK: what the source has of files that the target seems to have.

use super::attributes::{put_attributes, read_attributes};
use super::cursor::{Cursor, Malformed, Put};
use super::limits::MAX_PACK_FILES;
use crate::digest::Digest;
use crate::digest::file::Form;
use crate::fs::apply::Attributes;

/// One file of a CHECK.
#[derive(Debug)]
pub struct Check {
    pub file: u64,
    pub size: u64,
    pub form: Form,
    pub digest: Digest,
    pub attributes: Attributes,
}

impl Check {
    pub fn put(&self, out: &mut Vec<u8>) {
        out.put_u64(self.file);
        out.put_u64(self.size);
        out.put_u8(self.form as u8);
        out.extend_from_slice(&self.digest);
        put_attributes(out, &self.attributes);
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (file, size) = (cursor.u64()?, cursor.u64()?);
        let form = Form::from_wire(cursor.u8()?)
            .filter(|form| *form != Form::Assumed)
            .ok_or(Malformed("a digest is of an unknown form"))?;
        Ok(Self { file, size, form, digest: cursor.digest()?, attributes: read_attributes(cursor)? })
    }
}

/// The files of a CHECK: their number (u32), then each.
pub fn read_checks(payload: &[u8]) -> Result<Vec<Check>, Malformed> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.u32()?;
    if count == 0 || count > MAX_PACK_FILES {
        return Err(Malformed("a check holds no files or too many"));
    }
    let checks = (0..count).map(|_| Check::read(&mut cursor)).collect::<Result<Vec<_>, _>>()?;
    cursor.end()?;
    Ok(checks)
}
