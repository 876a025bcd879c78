//! DIFFERENCES: what the target of a session that only looks has found, on its way to the source.

use super::cursor::{Cursor, Malformed, Put};
use super::kind;
use super::limits::{MAX_DIFFERENCES, MAX_FRAME};
use crate::fs::aspects::Aspects;
use crate::session::difference::{CHANGES, Difference};

pub fn put_differences(out: &mut Vec<u8>, differences: &[Difference]) {
    out.put_u32(u32::try_from(differences.len()).unwrap_or(u32::MAX));
    for difference in differences {
        out.put_u8(difference.change as u8);
        out.put_u8(kind::to_wire(difference.kind));
        out.put_u16(difference.aspects.bits());
        out.put_long_bytes(&difference.path);
        out.put_long_bytes(&difference.to);
    }
}

pub fn read_differences(payload: &[u8]) -> Result<Vec<Difference>, Malformed> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.u32()?;
    if count > MAX_DIFFERENCES {
        return Err(Malformed("a frame holds too many differences"));
    }
    let mut differences = Vec::new();
    for _ in 0..count {
        differences.push(read_difference(&mut cursor)?);
    }
    cursor.end()?;
    Ok(differences)
}

fn read_difference(cursor: &mut Cursor<'_>) -> Result<Difference, Malformed> {
    let tag = cursor.u8()?;
    let change =
        CHANGES.into_iter().find(|known| *known as u8 == tag).ok_or(Malformed("a difference is of an unknown sort"))?;
    let kind = kind::from_wire(cursor.u8()?).ok_or(Malformed("a difference is about an unknown kind of entry"))?;
    let aspects = Aspects::from_bits(cursor.u16()?).ok_or(Malformed("a difference has unknown aspects"))?;
    let path = cursor.long_bytes(MAX_FRAME as usize)?.to_vec();
    let to = cursor.long_bytes(MAX_FRAME as usize)?.to_vec();
    Ok(Difference { change, kind, aspects, path, to })
}
