//! Item, NotPreserved, EntryCounts, SessionResult, SessionEvent: what a session tells, as JavaScript values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeCallContext, ThreadsafeFunction, ThreadsafeFunctionCallMode};
use pvferry_core::digest::hex;
use pvferry_core::digest::leaf::Leaf;
use pvferry_core::error::CoreError;
use pvferry_core::fs::aspects::Aspects;
use pvferry_core::fs::medium::Medium;
use pvferry_core::fs::stat::Kind;
use pvferry_core::session::difference::{CHANGES, Change, Difference};
use pvferry_core::session::events::{Event, Sink};
use pvferry_core::session::item::{ITEM_CLASSES, Item, ItemClass, Side};
use pvferry_core::session::ledger::{Outcome, ReadBack};
use serde_json::{Map, Value, json};

/// Batches that JavaScript has not taken yet; the session waits then.
const MAX_WAITING_BATCHES: usize = 16;

type EventCallback = ThreadsafeFunction<Vec<Event>, (), Value, napi::Status, false, true, MAX_WAITING_BATCHES>;

/// Hands batches of events to `on_events`; waits while JavaScript is behind.
pub(crate) fn sink(on_events: &Function<'_, Value, ()>) -> napi::Result<Sink> {
    let callback: EventCallback = on_events
        .build_threadsafe_function::<Vec<Event>>()
        .weak::<true>()
        .max_queue_size::<MAX_WAITING_BATCHES>()
        .build_callback(|context: ThreadsafeCallContext<Vec<Event>>| Ok(Value::Array(merged(context.value))))?;
    Ok(Box::new(move |events| {
        callback.call(events, ThreadsafeFunctionCallMode::Blocking);
    }))
}

/// One event for neighbouring batches of items, and of differences.
fn merged(events: Vec<Event>) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for event in events {
        let mut value = single(event);
        let list = match value["type"].as_str() {
            Some(list @ ("items" | "differences")) => list.to_owned(),
            _ => String::new(),
        };
        match (values.last_mut().filter(|last| last["type"] == list), value.get_mut(&list)) {
            (Some(last), Some(Value::Array(more))) => {
                if let Some(Value::Array(known)) = last.get_mut(&list) {
                    known.append(more);
                }
            }
            _ => values.push(value),
        }
    }
    values
}

fn single(event: Event) -> Value {
    match event {
        Event::Items(items) => json!({ "type": "items", "items": items.iter().map(item).collect::<Vec<_>>() }),
        Event::Differences(differences) => {
            json!({ "type": "differences", "differences": differences.iter().map(difference).collect::<Vec<_>>() })
        }
        Event::LaneLost { lane, reason, worked } => {
            json!({ "type": "lane-lost", "lane": lane, "reason": reason, "worked": worked })
        }
        Event::IndexLost(error) => json!({ "type": "index-lost", "error": error_text(&error) }),
        Event::Closing => json!({ "type": "closing" }),
        Event::Settled(outcome) => json!({ "type": "settled", "result": result(&outcome) }),
        Event::Failed(error) => json!({ "type": "failed", "error": error_text(&error) }),
    }
}

fn error_text(error: &CoreError) -> Value {
    serde_json::to_value(error).unwrap_or(Value::Null)
}

fn item(item: &Item) -> Value {
    let (path, path_bytes) = path(&item.path);
    json!({
        "side": match item.side { Side::Source => "source", Side::Target => "target" },
        "class": class_name(item.class),
        "path": path,
        "pathBytes": path_bytes,
        "what": item.what,
        "errno": item.errno_name(),
        "detail": item.detail,
    })
}

fn difference(difference: &Difference) -> Value {
    let (path, path_bytes) = path(&difference.path);
    let (to, to_bytes) = if difference.to.is_empty() { (Value::Null, Value::Null) } else { self::path(&difference.to) };
    json!({
        "change": change_name(difference.change),
        "kind": kind_name(difference.kind),
        "aspects": ASPECTS.iter().filter(|(aspect, _)| difference.aspects.has(*aspect)).map(|(_, name)| *name).collect::<Vec<_>>(),
        "path": path,
        "pathBytes": path_bytes,
        "to": to,
        "toBytes": to_bytes,
    })
}

fn change_name(change: Change) -> &'static str {
    match change {
        Change::Extra => "extra",
        Change::Missing => "missing",
        Change::Replaced => "replaced",
        Change::Attributes => "attributes",
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::CharDevice | Kind::BlockDevice => "device",
    }
}

const ASPECTS: [(Aspects, &str); 9] = [
    (Aspects::CONTENT, "content"),
    (Aspects::SIZE, "size"),
    (Aspects::TIME, "time"),
    (Aspects::MODE, "mode"),
    (Aspects::OWNER, "owner"),
    (Aspects::GROUP, "group"),
    (Aspects::ACL, "acl"),
    (Aspects::XATTRS, "xattrs"),
    (Aspects::LINK, "link"),
];

/// `path` when it is UTF-8, otherwise `pathBytes`.
pub(crate) fn path(bytes: &[u8]) -> (Value, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Value::from(text), Value::Null),
        Err(_) => (Value::Null, Value::from(BASE64.encode(bytes))),
    }
}

fn class_name(class: ItemClass) -> &'static str {
    match class {
        ItemClass::Unreadable => "unreadable",
        ItemClass::NotWritten => "not-written",
        ItemClass::NotKept => "not-kept",
        ItemClass::Changed => "changed",
        ItemClass::Skipped => "skipped",
        ItemClass::Repaired => "repaired",
        ItemClass::Corrupted => "corrupted",
    }
}

fn result(outcome: &Outcome) -> Value {
    let entries = &outcome.entries;
    let counts: Map<String, Value> = ITEM_CLASSES
        .iter()
        .zip(outcome.item_counts)
        .map(|(class, count)| (class_name(*class).to_owned(), number(count)))
        .collect();
    let differences: Map<String, Value> = CHANGES
        .iter()
        .zip(outcome.differences)
        .map(|(change, count)| (change_name(*change).to_owned(), number(count)))
        .collect();
    let not_preserved: Vec<Value> =
        outcome.not_preserved.iter().map(|(kind, count)| json!({ "kind": kind, "count": number(*count) })).collect();
    json!({
        "entries": {
            "files": number(entries.files),
            "directories": number(entries.directories),
            "symlinks": number(entries.symlinks),
            "hardLinks": number(entries.hard_links),
            "fifos": number(entries.fifos),
            "sockets": number(entries.sockets),
            "devices": number(entries.devices),
        },
        "bytes": number(outcome.bytes),
        "movedBytes": number(outcome.moved_bytes),
        "matchedBytes": number(outcome.matched_bytes),
        "comparedFiles": number(outcome.compared),
        "assumedFiles": number(outcome.assumed),
        "deleted": number(outcome.deleted),
        "excluded": number(outcome.excluded),
        "differences": differences,
        "wouldMoveBytes": number(outcome.would_move),
        "readBack": outcome.read_back.as_ref().map(read_back),
        "notRemoved": number(outcome.not_removed),
        "wireBytes": number(outcome.wire_bytes),
        "resent": number(outcome.resent),
        "roots": roots(&outcome.roots),
        "itemCounts": counts,
        "notPreserved": not_preserved,
    })
}

fn read_back(it: &ReadBack) -> Value {
    let method = match it.medium {
        Medium::Direct => "direct",
        Medium::Dropped => "dropped",
        Medium::None => "impossible",
    };
    json!({ "filesystem": it.filesystem, "method": method, "files": number(it.files), "bytes": number(it.bytes) })
}

pub(crate) fn roots(leaf: &Leaf) -> Value {
    json!({ "content": hex(&leaf.content), "metadata": hex(&leaf.metadata) })
}

/// A JavaScript number: exact up to 2^53, the nearest double above (sparse files can claim exbibytes).
pub(crate) fn number(count: u64) -> Value {
    const MAX_SAFE: i64 = (1 << 53) - 1;
    let exact = i64::try_from(count).ok().filter(|count| *count <= MAX_SAFE);
    exact.map_or_else(|| Value::from(count as f64), Value::from)
}
