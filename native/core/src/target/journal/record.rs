//! The records of a journal and their payloads.

use crate::digest::file::PIECE;
use crate::fs::stat::Timestamp;
use crate::wire::cursor::{Cursor, Malformed, Put, check_name};

use super::{MAX_AGENT, MAX_PART_NAME, MAX_RANGES, MAX_TORN_PATH};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Session(Session),
    Checkpoint(Checkpoint),
    Pass(Pass),
    Part(Part),
    PartEnded {
        name: String,
        how: PartEnd,
    },
    Torn(Torn),
    /// A torn file is whole, or nothing of it is left under its name.
    Mended {
        path: Vec<u8>,
    },
}

/// An agent began to write to the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// One more than that of the session before.
    pub epoch: u64,
    /// Of /proc/sys/kernel/random/boot_id; zeros where it cannot be read.
    pub boot: [u8; 16],
    pub began: Timestamp,
    /// The same moment by the clock that stamps the volume's files.
    pub volume_clock: Timestamp,
    pub doubt: Option<Doubt>,
    /// The agent's version.
    pub agent: String,
}

/// Files whose ctime lies in here may have lost what was written to them: they are to be compared by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Everything written to files whose ctime is earlier than `covers` is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub number: u64,
    pub boot: [u8; 16],
    pub at: Timestamp,
    pub covers: Timestamp,
    /// Records of parts before this offset in the journal are covered as well.
    pub position: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    Stage,
    Cutover,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    pub kind: PassKind,
    pub number: u32,
    /// The exit code.
    pub verdict: u8,
    /// BLAKE3 of the receipt's JSON.
    pub receipt: [u8; 32],
    pub ended: Timestamp,
    /// By the source's clock.
    pub scan_began: Timestamp,
    pub scan_ended: Timestamp,
}

impl Pass {
    /// Nothing was left uncompared: no entry that could not be read or written (40), no digests that differ (43).
    pub fn is_complete(&self) -> bool {
        !matches!(self.verdict, 40 | 43)
    }

    /// No other pass is to follow: the source did not change meanwhile (42), and no digests differ (43).
    pub fn finishes(&self) -> bool {
        self.kind == PassKind::Cutover && !matches!(self.verdict, 42 | 43)
    }
}

/// A large file in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// BLAKE3 of the path.
    pub path: [u8; 32],
    pub name: String,
    /// What the whole file has, bytes.
    pub size: u64,
    /// By the agent's clock.
    pub recorded: Timestamp,
    /// First and count of pieces that are in the part, ascending, with gaps between.
    pub ranges: Vec<(u64, u64)>,
}

/// A file that is written into itself: until it is mended, it is neither what it was nor what it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Relative to the volume's root, 1 to `MAX_TORN_PATH` bytes.
    pub path: Vec<u8>,
    /// What bears the name is torn only as long as it is this inode.
    pub inode: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartEnd {
    /// It got its final name.
    Done,
    Dropped,
}

const SESSION: u8 = 1;
const CHECKPOINT: u8 = 2;
const PASS: u8 = 3;
const PART: u8 = 4;
const PART_ENDED: u8 = 5;
const TORN: u8 = 6;
const MENDED: u8 = 7;

impl Record {
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Session(_) => SESSION,
            Self::Checkpoint(_) => CHECKPOINT,
            Self::Pass(_) => PASS,
            Self::Part(_) => PART,
            Self::PartEnded { .. } => PART_ENDED,
            Self::Torn(_) => TORN,
            Self::Mended { .. } => MENDED,
        }
    }

    /// Whether it is only ever written when all before it is on disk, and waited for.
    pub(super) fn is_anchor(&self) -> bool {
        is_anchor(self.code())
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        match self {
            Self::Session(session) => put_session(&mut out, session),
            Self::Checkpoint(checkpoint) => {
                out.put_u64(checkpoint.number);
                out.extend_from_slice(&checkpoint.boot);
                put_time(&mut out, checkpoint.at);
                put_time(&mut out, checkpoint.covers);
                out.put_u64(checkpoint.position);
            }
            Self::Pass(pass) => put_pass(&mut out, pass),
            Self::Part(part) => put_part(&mut out, part),
            Self::PartEnded { name, how } => {
                out.put_u8(if *how == PartEnd::Done { 1 } else { 2 });
                out.put_short_bytes(name.as_bytes());
            }
            Self::Torn(torn) => {
                out.put_u64(torn.inode);
                put_path(&mut out, &torn.path);
            }
            Self::Mended { path } => put_path(&mut out, path),
        }
        out
    }

    pub(super) fn read(code: u8, payload: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(payload);
        let record = match code {
            SESSION => Self::Session(read_session(&mut cursor)?),
            CHECKPOINT => Self::Checkpoint(Checkpoint {
                number: cursor.u64()?,
                boot: read_boot(&mut cursor)?,
                at: read_time(&mut cursor)?,
                covers: read_time(&mut cursor)?,
                position: cursor.u64()?,
            }),
            PASS => Self::Pass(read_pass(&mut cursor)?),
            PART => Self::Part(read_part(&mut cursor)?),
            PART_ENDED => {
                let how = match cursor.u8()? {
                    1 => PartEnd::Done,
                    2 => PartEnd::Dropped,
                    _ => return Err(Malformed("a part ends in an unknown way")),
                };
                Self::PartEnded { name: read_name(&mut cursor)?, how }
            }
            TORN => {
                let inode = cursor.u64()?;
                Self::Torn(Torn { path: read_path(&mut cursor)?, inode })
            }
            MENDED => Self::Mended { path: read_path(&mut cursor)? },
            _ => return Err(Malformed("a record of an unknown type")),
        };
        cursor.end()?;
        Ok(record)
    }
}

pub(super) fn is_anchor(code: u8) -> bool {
    matches!(code, SESSION | CHECKPOINT | PASS | TORN)
}

fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.put_i64(time.seconds);
    out.put_u32(time.nanoseconds);
}

fn read_time(cursor: &mut Cursor<'_>) -> Result<Timestamp, Malformed> {
    let time = Timestamp { seconds: cursor.i64()?, nanoseconds: cursor.u32()? };
    if time.nanoseconds < 1_000_000_000 { Ok(time) } else { Err(Malformed("a time has too many nanoseconds")) }
}

fn read_boot(cursor: &mut Cursor<'_>) -> Result<[u8; 16], Malformed> {
    <[u8; 16]>::try_from(cursor.bytes(16)?).map_err(|_| Malformed("a boot id is cut off"))
}

fn put_session(out: &mut Vec<u8>, session: &Session) {
    out.put_u64(session.epoch);
    out.extend_from_slice(&session.boot);
    put_time(out, session.began);
    put_time(out, session.volume_clock);
    out.put_u8(u8::from(session.doubt.is_some()));
    if let Some(doubt) = session.doubt {
        put_time(out, doubt.from);
        put_time(out, doubt.until);
    }
    out.put_short_bytes(session.agent.as_bytes());
}

fn read_session(cursor: &mut Cursor<'_>) -> Result<Session, Malformed> {
    Ok(Session {
        epoch: cursor.u64()?,
        boot: read_boot(cursor)?,
        began: read_time(cursor)?,
        volume_clock: read_time(cursor)?,
        doubt: match cursor.u8()? {
            0 => None,
            1 => Some(Doubt { from: read_time(cursor)?, until: read_time(cursor)? }),
            _ => return Err(Malformed("a session's doubt is neither there nor absent")),
        },
        agent: read_text(cursor, MAX_AGENT)?,
    })
}

fn put_pass(out: &mut Vec<u8>, pass: &Pass) {
    out.put_u8(if pass.kind == PassKind::Stage { 1 } else { 2 });
    out.put_u32(pass.number);
    out.put_u8(pass.verdict);
    out.extend_from_slice(&pass.receipt);
    put_time(out, pass.ended);
    put_time(out, pass.scan_began);
    put_time(out, pass.scan_ended);
}

fn read_pass(cursor: &mut Cursor<'_>) -> Result<Pass, Malformed> {
    Ok(Pass {
        kind: match cursor.u8()? {
            1 => PassKind::Stage,
            2 => PassKind::Cutover,
            _ => return Err(Malformed("a pass of an unknown kind")),
        },
        number: cursor.u32()?,
        verdict: cursor.u8()?,
        receipt: cursor.digest()?,
        ended: read_time(cursor)?,
        scan_began: read_time(cursor)?,
        scan_ended: read_time(cursor)?,
    })
}

fn put_part(out: &mut Vec<u8>, part: &Part) {
    out.extend_from_slice(&part.path);
    out.put_short_bytes(part.name.as_bytes());
    out.put_u64(part.size);
    put_time(out, part.recorded);
    out.put_u16(u16::try_from(part.ranges.len()).unwrap_or(u16::MAX));
    for (first, count) in &part.ranges {
        out.put_u64(*first);
        out.put_u64(*count);
    }
}

fn read_part(cursor: &mut Cursor<'_>) -> Result<Part, Malformed> {
    let (path, name) = (cursor.digest()?, read_name(cursor)?);
    let (size, recorded) = (cursor.u64()?, read_time(cursor)?);
    let count = usize::from(cursor.u16()?);
    if count > MAX_RANGES {
        return Err(Malformed("a part of too many ranges"));
    }
    let ranges = (0..count).map(|_| Ok((cursor.u64()?, cursor.u64()?))).collect::<Result<Vec<_>, _>>()?;
    let part = Part { path, name, size, recorded, ranges };
    part.check()?;
    Ok(part)
}

impl Part {
    /// Bytes in the recorded ranges.
    pub fn written(&self) -> u64 {
        let bytes = |(first, count): &(u64, u64)| {
            let (start, end) = (first.saturating_mul(PIECE), first.saturating_add(*count).saturating_mul(PIECE));
            end.min(self.size).saturating_sub(start)
        };
        self.ranges.iter().map(bytes).sum()
    }

    /// What a reader insists on; a writer asks before it writes.
    pub(super) fn check(&self) -> Result<(), Malformed> {
        check_part_name(self.name.as_bytes())?;
        if self.ranges.len() > MAX_RANGES {
            return Err(Malformed("a part of too many ranges"));
        }
        let mut free = 0;
        for (first, count) in &self.ranges {
            let end = first.checked_add(*count).ok_or(Malformed("a range beyond all files"))?;
            if *count == 0 || *first < free {
                return Err(Malformed("ranges that are empty, touch, or are in no order"));
            }
            free = end.saturating_add(1);
        }
        Ok(())
    }
}

fn put_path(out: &mut Vec<u8>, path: &[u8]) {
    out.put_u16(u16::try_from(path.len()).unwrap_or(u16::MAX));
    out.extend_from_slice(path);
}

fn read_path(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Malformed> {
    let length = usize::from(cursor.u16()?);
    if length > MAX_TORN_PATH {
        return Err(Malformed("a torn file's path is too long"));
    }
    let path = cursor.bytes(length)?;
    path.split(|byte| *byte == b'/').try_for_each(check_name)?;
    Ok(path.to_vec())
}

fn read_name(cursor: &mut Cursor<'_>) -> Result<String, Malformed> {
    let name = read_text(cursor, MAX_PART_NAME)?;
    check_part_name(name.as_bytes())?;
    Ok(name)
}

pub(super) fn check_part_name(name: &[u8]) -> Result<(), Malformed> {
    check_name(name)?;
    if name.len() > MAX_PART_NAME { Err(Malformed("a part's name is too long")) } else { Ok(()) }
}

fn read_text(cursor: &mut Cursor<'_>, limit: usize) -> Result<String, Malformed> {
    let bytes = cursor.short_bytes()?;
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))?;
    if bytes.len() > limit { Err(Malformed("a text is too long")) } else { Ok(text.to_owned()) }
}
