//! A journal as bytes: the header, and records each with a checksum that continues the one before.

use crate::wire::cursor::{Cursor, Put};

use super::record::{Record, is_anchor};
use super::{FORMAT, FORMAT_TORN, MAGIC, MAX_JOURNAL, MAX_PAYLOAD, MAX_TRANSFER};

/// BLAKE3, its first 8 bytes.
pub(super) type Sum = [u8; 8];
const SUM: usize = size_of::<Sum>();
/// Length and type before a payload, the checksum behind it.
const FRAME: usize = 4 + 1;

/// Why a journal cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a journal at all, or its header is cut off or damaged.
    Header,
    Version(u16),
    /// More bytes than this format ever writes.
    TooLarge,
    /// A record in the middle; everything before it is in the reading.
    Record(Box<Reading>),
}

/// What a journal says, up to its end or its torn tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub transfer: String,
    pub nonce: [u8; 16],
    pub format: u16,
    /// Each with its offset.
    pub records: Vec<(u64, Record)>,
    /// Where the next record goes, and the checksum that it continues.
    pub end: u64,
    pub(super) sum: Sum,
}

/// The whole of a journal, as a new file has it. The nonce makes two journals of one transfer differ from the first
/// checksum on. Its format is 1 where that can say all.
pub fn encode(transfer: &str, nonce: &[u8; 16], records: &[Record]) -> Vec<u8> {
    let torn = records.iter().any(|record| matches!(record, Record::Torn(_) | Record::Mended { .. }));
    let (mut out, mut sum) = header(transfer, nonce, if torn { FORMAT_TORN } else { FORMAT });
    for record in records {
        sum = put_record(&mut out, sum, record);
    }
    out
}

pub(super) fn header(transfer: &str, nonce: &[u8; 16], format: u16) -> (Vec<u8>, Sum) {
    let mut out = MAGIC.to_vec();
    out.put_u16(format);
    out.extend_from_slice(nonce);
    out.put_u16(u16::try_from(transfer.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(transfer.as_bytes());
    let sum = checksum(&[0; SUM], &out);
    out.extend_from_slice(&sum);
    (out, sum)
}

/// Appends one record and returns the checksum that the next one continues.
pub(super) fn put_record(out: &mut Vec<u8>, before: Sum, record: &Record) -> Sum {
    let payload = record.payload();
    let start = out.len();
    out.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    out.put_u8(record.code());
    out.extend_from_slice(&payload);
    let sum = checksum(&before, &out[start..]);
    out.extend_from_slice(&sum);
    sum
}

fn checksum(before: &Sum, bytes: &[u8]) -> Sum {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(bytes);
    let mut sum = Sum::default();
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM]);
    sum
}

/// Reads a journal. What was being written when the agent or the machine ended is left out; a record that is damaged
/// although what follows it was written after it was on disk is a fault.
pub fn parse(bytes: &[u8]) -> Result<Reading, Fault> {
    if bytes.len() as u64 > MAX_JOURNAL {
        return Err(Fault::TooLarge);
    }
    let mut reading = read_header(bytes)?;
    let mut at = usize::try_from(reading.end).unwrap_or(bytes.len());
    while let Some((record, sum, end)) = whole_record(bytes, at, reading.sum) {
        reading.records.push((at as u64, record));
        (reading.sum, at) = (sum, end);
        reading.end = at as u64;
    }
    if at < bytes.len() && is_followed(bytes, at) {
        return Err(Fault::Record(Box::new(reading)));
    }
    Ok(reading)
}

fn read_header(bytes: &[u8]) -> Result<Reading, Fault> {
    let cut = |_| Fault::Header;
    let mut cursor = Cursor::new(bytes);
    if cursor.bytes(MAGIC.len()).map_err(cut)? != MAGIC {
        return Err(Fault::Header);
    }
    let format = cursor.u16().map_err(cut)?;
    if !matches!(format, FORMAT | FORMAT_TORN) {
        return Err(Fault::Version(format));
    }
    let nonce = <[u8; 16]>::try_from(cursor.bytes(16).map_err(cut)?).map_err(|_| Fault::Header)?;
    let length = usize::from(cursor.u16().map_err(cut)?);
    if length > MAX_TRANSFER {
        return Err(Fault::Header);
    }
    let transfer = cursor.bytes(length).map_err(cut)?;
    let transfer = std::str::from_utf8(transfer).map_err(|_| Fault::Header)?.to_owned();
    let end = MAGIC.len() + 2 + 16 + 2 + length;
    let sum = checksum(&[0; SUM], &bytes[..end]);
    if cursor.bytes(SUM).map_err(cut)? != sum {
        return Err(Fault::Header);
    }
    Ok(Reading { transfer, nonce, format, records: Vec::new(), end: (end + SUM) as u64, sum })
}

/// The record at an offset, the checksum it leaves and where it ends; None when it is not whole or not right.
fn whole_record(bytes: &[u8], at: usize, before: Sum) -> Option<(Record, Sum, usize)> {
    let (framed, end) = frame(bytes, at)?;
    let sum = checksum(&before, framed);
    if bytes.get(end..end + SUM)? != sum {
        return None;
    }
    let record = Record::read(framed[FRAME - 1], &framed[FRAME..]).ok()?;
    Some((record, sum, end + SUM))
}

/// Length, type and payload of what may be a record, and where its checksum begins.
fn frame(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = bytes.get(at..at + 4)?.try_into().map(u32::from_be_bytes).ok()? as usize;
    let end = at + FRAME + length;
    if length > MAX_PAYLOAD || bytes.len() < end + SUM {
        return None;
    }
    Some((&bytes[at..end], end))
}

/// Whether something behind a bad record was written when that record was on disk already: then it has been damaged
/// since. Records that nobody waits for may reach the disk in any order, so that only anchors say this.
fn is_followed(bytes: &[u8], bad: usize) -> bool {
    let anchor = |at: usize, before: Sum| {
        bytes.get(at + FRAME - 1).is_some_and(|code| is_anchor(*code)) && whole_record(bytes, at, before).is_some()
    };
    let stored = |at: usize| bytes[at - SUM..at].try_into().ok();
    let scan = || (bad + 1..bytes.len()).any(|at| stored(at).is_some_and(|before| anchor(at, before)));
    // When the bad record's own checksum is what was damaged, the next one continues what it was.
    let last = || bytes[bad - SUM..bad].try_into().ok().zip(frame(bytes, bad));
    last().is_some_and(|(before, (framed, end))| anchor(end + SUM, checksum(&before, framed))) || scan()
}
