//! ITEMS: items on their way to the other side, so that both receipts name them all.

use super::cursor::{Cursor, Malformed, Put};
use super::limits::{MAX_FRAME, MAX_ITEM_TEXT, MAX_ITEMS};
use crate::session::item::{ITEM_CLASSES, Item, Side};

pub fn put_item(out: &mut Vec<u8>, item: &Item) {
    out.put_u8(item.class as u8);
    out.put_u32(u32::try_from(item.errno).unwrap_or(0));
    out.put_long_bytes(&item.path);
    out.put_long_bytes(cut(&item.what));
    out.put_long_bytes(cut(&item.detail));
}

fn cut(text: &str) -> &[u8] {
    let mut end = text.len().min(MAX_ITEM_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text.as_bytes()[..end]
}

/// Items of one frame; `side` is the sender's, which the frame does not say.
pub fn read_items(payload: &[u8], side: Side) -> Result<Vec<Item>, Malformed> {
    let mut cursor = Cursor::new(payload);
    let count = cursor.u32()?;
    if count > MAX_ITEMS {
        return Err(Malformed("a frame holds too many items"));
    }
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(read_item(&mut cursor, side)?);
    }
    cursor.end()?;
    Ok(items)
}

fn read_item(cursor: &mut Cursor<'_>, side: Side) -> Result<Item, Malformed> {
    let tag = cursor.u8()?;
    let class = ITEM_CLASSES
        .into_iter()
        .find(|known| *known as u8 == tag)
        .ok_or(Malformed("an item is of an unknown class"))?;
    let errno = i32::try_from(cursor.u32()?).map_err(|_| Malformed("an item's errno is out of range"))?;
    let path = cursor.long_bytes(MAX_FRAME as usize)?.to_vec();
    let what = text(cursor)?;
    let detail = text(cursor)?;
    Ok(Item { side, class, path, what, errno, detail })
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    let bytes = cursor.long_bytes(MAX_ITEM_TEXT)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
