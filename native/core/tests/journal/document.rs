//! docs/journal.md against the code: the bytes of every kind of record, and the limits.

use pvferry_core::digest::file::PIECE;
use pvferry_core::fs::stat::Timestamp;
use pvferry_core::target::journal::{
    COMPACT_ABOVE, Checkpoint, Doubt, EVER, FORMAT_TORN, MAX_AGENT, MAX_JOURNAL, MAX_PART_NAME, MAX_PARTS, MAX_PASSES,
    MAX_PAYLOAD, MAX_RANGES, MAX_TORN, MAX_TORN_PATH, MAX_TRANSFER, Part, PartEnd, Pass, PassKind, Record, Session,
    Torn, encode, parse,
};

const DOCUMENT: &str = include_str!("../../../../docs/journal.md");
pub(crate) const TRANSFER: &str = "tr-4kxw/data";
pub(crate) const NONCE: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
pub(crate) const BOOT: [u8; 16] = [0xb0; 16];

/// A fenced block's bytes; comments begin with '#'.
fn documented(fence: &str) -> Vec<u8> {
    let (_, block) = DOCUMENT.split_once(&format!("```{fence}\n")).unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let digits = block.lines().flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    digits.map(|digit| u8::from_str_radix(digit, 16).unwrap()).collect()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanoseconds: 500_000_000 }
}

/// One record of every kind, in an order that a target would write, with the names of their blocks.
pub(crate) fn examples() -> Vec<(&'static str, Record)> {
    let doubt = Some(Doubt { from: EVER, until: at(1_800_000_000) });
    let (began, volume_clock) = (at(1_800_000_001), at(1_800_000_000));
    let session = Session { epoch: 2, boot: BOOT, began, volume_clock, doubt, agent: "0.1.0".into() };
    let part = Part {
        path: [0xaa; 32],
        name: "17".into(),
        size: 10 << 20,
        recorded: at(1_700_000_000),
        ranges: vec![(0, 4), (6, 1)],
    };
    let checkpoint =
        Checkpoint { number: 1, boot: BOOT, at: at(1_800_000_010), covers: at(1_800_000_009), position: 242 };
    let pass = Pass {
        kind: PassKind::Stage,
        number: 1,
        verdict: 42,
        receipt: [0xcc; 32],
        ended: at(1_800_000_020),
        scan_began: at(1_800_000_002),
        scan_ended: at(1_800_000_012),
    };
    vec![
        ("session", Record::Session(session)),
        ("part", Record::Part(part)),
        ("checkpoint", Record::Checkpoint(checkpoint)),
        ("part-ended", Record::PartEnded { name: "17".into(), how: PartEnd::Done }),
        ("pass", Record::Pass(pass)),
    ]
}

pub(crate) fn records() -> Vec<Record> {
    examples().into_iter().map(|(_, record)| record).collect()
}

#[track_caller]
fn assert_block(fence: &str, written: &[u8]) {
    let digits: Vec<String> = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(documented(fence), written, "docs/journal.md, {fence}, should have: {}", digits.join(" "));
}

#[test]
fn every_example_has_the_documented_bytes_and_is_read_back() {
    let mut before = encode(TRANSFER, &NONCE, &[]);
    let mut written = vec![("header", before.clone())];
    for (count, (fence, _)) in examples().iter().enumerate() {
        let whole = encode(TRANSFER, &NONCE, &records()[..=count]);
        written.push((fence, whole[before.len()..].to_vec()));
        before = whole;
    }
    for (fence, bytes) in &written {
        assert_block(fence, bytes);
    }
    let documented: Vec<u8> = written.iter().flat_map(|(fence, _)| documented(fence)).collect();
    let reading = parse(&documented).unwrap();
    assert_eq!((reading.transfer.as_str(), reading.nonce), (TRANSFER, NONCE));
    assert_eq!(reading.records.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), records());
}

#[test]
fn the_limits_are_the_documented_ones() {
    let says = |text: &str| assert!(DOCUMENT.contains(text), "docs/journal.md should say: {text}");
    let grouped = |number: usize| format!("{},{:03}", number / 1_000, number % 1_000);
    says(&format!("length of the payload, at most {} ", grouped(MAX_PAYLOAD)));
    says(&format!("A file is at most {} MiB long.", MAX_JOURNAL >> 20));
    says(&format!("length of the transfer, at most {} ", grouped(MAX_TRANSFER)));
    says(&format!("version of the agent, at most {MAX_AGENT} bytes"));
    says(&format!("its name in `parts/`, 1 to {MAX_PART_NAME} bytes"));
    says(&format!("number of ranges, at most {} ", grouped(MAX_RANGES)));
    says(&format!("of {} KiB; ascending", PIECE >> 10));
    says(&format!("Beyond {} MiB", COMPACT_ABOVE >> 20));
    says(&format!("(the last {})", grouped(MAX_PASSES)));
    says(&format!("More than {MAX_PARTS} parts"));
}

#[test]
fn a_journal_that_has_held_torn_files_is_of_another_format() {
    let torn = Record::Torn(Torn { path: b"db/disk.img".to_vec(), inode: 131_073 });
    let mended = Record::Mended { path: b"db/disk.img".to_vec() };
    let both = [torn.clone(), mended];
    let (first, whole) = (encode(TRANSFER, &NONCE, &[torn]), encode(TRANSFER, &NONCE, &both));
    assert_eq!(first[8..10], FORMAT_TORN.to_be_bytes());
    let header = documented("header").len();
    assert_block("torn", &first[header..]);
    assert_block("mended", &whole[first.len()..]);
    let reading = parse(&whole).unwrap();
    assert_eq!(reading.records.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), both);
    let says = |text: &str| assert!(DOCUMENT.contains(text), "docs/journal.md should say: {text}");
    says(&format!("length of the path, 1 to {},{:03}", MAX_TORN_PATH / 1_000, MAX_TORN_PATH % 1_000));
    says(&format!("more than {MAX_TORN} torn files"));
}
