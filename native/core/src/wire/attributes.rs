//! An entry's attributes on the wire: mode, owner, modification time, extended attributes (ACLs among them).

use super::cursor::{Cursor, Malformed, Put};
use super::limits::{MAX_XATTR_VALUE, MAX_XATTRS_BYTES};
use crate::fs::apply::Attributes;
use crate::fs::stat::Timestamp;
use crate::fs::xattrs::{Xattr, Xattrs};

pub fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    out.put_u16(u16::try_from(attributes.mode & 0o7777).unwrap_or(0));
    out.put_u32(attributes.uid);
    out.put_u32(attributes.gid);
    out.put_i64(attributes.mtime.seconds);
    out.put_u32(attributes.mtime.nanoseconds);
    out.put_u16(u16::try_from(attributes.xattrs.len()).unwrap_or(u16::MAX));
    for (name, value) in attributes.xattrs.iter() {
        out.put_short_bytes(name);
        out.put_long_bytes(value);
    }
}

pub fn read_attributes(cursor: &mut Cursor<'_>) -> Result<Attributes, Malformed> {
    let mode = u32::from(cursor.u16()?);
    let (uid, gid) = (cursor.u32()?, cursor.u32()?);
    let mtime = Timestamp { seconds: cursor.i64()?, nanoseconds: cursor.u32()? };
    // The highest id means "leave it as it is" to the kernel; nobody owns anything under it.
    if mode > 0o7777 || uid == u32::MAX || gid == u32::MAX || mtime.nanoseconds >= 1_000_000_000 {
        return Err(Malformed("a mode, an owner or a time is out of range"));
    }
    let xattrs = read_xattrs(cursor)?;
    Ok(Attributes { mode, uid, gid, mtime, xattrs })
}

fn read_xattrs(cursor: &mut Cursor<'_>) -> Result<Xattrs, Malformed> {
    let count = cursor.u16()?;
    let mut total = 0;
    let mut pairs: Vec<Xattr> = Vec::new();
    for _ in 0..count {
        let name = cursor.short_bytes()?;
        if name.is_empty() || name.contains(&0) {
            return Err(Malformed("an extended attribute has no proper name"));
        }
        let value = cursor.long_bytes(MAX_XATTR_VALUE)?;
        total += name.len() + value.len();
        if total > MAX_XATTRS_BYTES {
            return Err(Malformed("the extended attributes of an entry exceed their limit"));
        }
        pairs.push((name.into(), value.into()));
    }
    Ok(Xattrs::from_pairs(pairs))
}
