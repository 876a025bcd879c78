//! PassRecord, JournalText, readJournal, leaveFinished.

use crate::events::{number, path};
use crate::promise::on_thread;
use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;
use pvferry_core::digest::{from_hex, hex};
use pvferry_core::error::CoreError;
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::target::journal::{Checkpoint, Doubt, EVER, Look, Part, Pass, PassKind, Record, Session, Torn, look};
use pvferry_core::target::leave_finished as leave;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

// -- the journal ----------------------------------------------------------------------------------------------------

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Stage,
    Cutover,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JournalTime {
    seconds: i64,
    nanoseconds: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PassRecord {
    kind: Kind,
    number: u32,
    verdict: u8,
    receipt: String,
    ended: JournalTime,
    scan_began: JournalTime,
    scan_ended: JournalTime,
}

impl PassRecord {
    pub(crate) fn read(&self) -> Result<Pass, CoreError> {
        Ok(Pass {
            kind: match self.kind {
                Kind::Stage => PassKind::Stage,
                Kind::Cutover => PassKind::Cutover,
            },
            number: self.number,
            verdict: self.verdict,
            receipt: from_hex(&self.receipt).ok_or_else(|| CoreError::bug("receipt: not 64 hex digits."))?,
            ended: self.ended.read()?,
            scan_began: self.scan_began.read()?,
            scan_ended: self.scan_ended.read()?,
        })
    }
}

impl JournalTime {
    fn read(self) -> Result<Timestamp, CoreError> {
        if self.nanoseconds >= 1_000_000_000 {
            return Err(CoreError::bug("nanoseconds: a second has fewer."));
        }
        Ok(Timestamp { seconds: self.seconds, nanoseconds: self.nanoseconds })
    }
}

#[napi(ts_return_type = "Promise<JournalText | null>")]
pub fn read_journal<'env>(env: &'env Env, path: String) -> napi::Result<Object<'env>> {
    on_thread(env, "pvferry-journal", move || Ok(look(&PathBuf::from(path))?.map(|found| text(&found))))
}

#[napi(ts_return_type = "Promise<PassRecord | null>")]
pub fn leave_finished<'env>(env: &'env Env, path: String, transfer: String) -> napi::Result<Object<'env>> {
    on_thread(env, "pvferry-leave", move || Ok(leave(&PathBuf::from(path), &transfer)?.as_ref().map(pass)))
}

/// JournalText.
fn text(look: &Look) -> Value {
    let of = |read: fn(&Record) -> Option<Value>| look.records.iter().filter_map(read).collect::<Vec<_>>();
    json!({
        "path": look.path.to_string_lossy(),
        "transfer": look.transfer,
        "bytes": number(look.bytes),
        "heldBy": look.held_by,
        "isFinished": look.is_finished,
        "doubt": look.doubt.map(doubt),
        "sessions": of(|record| if let Record::Session(it) = record { Some(session(it)) } else { None }),
        "checkpoints": of(|record| if let Record::Checkpoint(it) = record { Some(checkpoint(it)) } else { None }),
        "passes": of(|record| if let Record::Pass(it) = record { Some(pass(it)) } else { None }),
        "parts": look.parts.iter().map(part).collect::<Vec<_>>(),
        "torn": look.torn.iter().map(torn).collect::<Vec<_>>(),
    })
}

fn session(it: &Session) -> Value {
    json!({
        "epoch": number(it.epoch),
        "bootId": format!("{:032x}", u128::from_be_bytes(it.boot)),
        "began": time(it.began),
        "volumeClock": time(it.volume_clock),
        "doubt": it.doubt.map(doubt),
        "agent": it.agent,
    })
}

fn checkpoint(it: &Checkpoint) -> Value {
    json!({
        "number": number(it.number),
        "bootId": format!("{:032x}", u128::from_be_bytes(it.boot)),
        "at": time(it.at),
        "covers": time(it.covers),
        "position": number(it.position),
    })
}

fn pass(it: &Pass) -> Value {
    json!({
        "kind": if it.kind == PassKind::Stage { "stage" } else { "cutover" },
        "number": it.number,
        "verdict": it.verdict,
        "receipt": hex(&it.receipt),
        "ended": time(it.ended),
        "scanBegan": time(it.scan_began),
        "scanEnded": time(it.scan_ended),
    })
}

fn part(it: &Part) -> Value {
    json!({
        "name": it.name,
        "pathHash": hex(&it.path),
        "size": number(it.size),
        "recorded": time(it.recorded),
        "ranges": it.ranges.iter().map(|(first, count)| json!([number(*first), number(*count)])).collect::<Vec<_>>(),
        "writtenBytes": number(it.written()),
    })
}

fn torn(it: &Torn) -> Value {
    let (path, path_bytes) = path(&it.path);
    json!({ "path": path, "pathBytes": path_bytes })
}

fn doubt(it: Doubt) -> Value {
    let from = (it.from != EVER).then(|| time(it.from));
    json!({ "from": from, "until": time(it.until) })
}

fn time(it: Timestamp) -> Value {
    json!({ "seconds": it.seconds as f64, "nanoseconds": it.nanoseconds })
}
