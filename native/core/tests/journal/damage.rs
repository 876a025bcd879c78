//! A journal that is cut off or damaged anywhere: what is read is what was written up to some record, or nothing is.

use pvferry_core::target::journal::{Fault, Record, encode, parse};

use crate::document::{NONCE, TRANSFER, records};

/// Where each record begins, and where the journal ends.
fn offsets(journal: &[u8]) -> Vec<usize> {
    let mut offsets: Vec<usize> = parse(journal).unwrap().records.iter().map(|(at, _)| *at as usize).collect();
    offsets.push(journal.len());
    offsets
}

fn read(journal: &[u8]) -> Result<Vec<Record>, Fault> {
    Ok(parse(journal)?.records.into_iter().map(|(_, record)| record).collect())
}

#[test]
fn a_journal_that_is_cut_off_anywhere_holds_the_records_that_are_whole() {
    let (journal, records) = (encode(TRANSFER, &NONCE, &records()), records());
    let offsets = offsets(&journal);
    for length in 0..=journal.len() {
        let whole = offsets.iter().filter(|at| **at <= length).count();
        match read(&journal[..length]) {
            Err(fault) => assert_eq!((whole, fault), (0, Fault::Header), "cut at {length}"),
            Ok(found) => assert_eq!(found, records[..whole - 1], "cut at {length}"),
        }
    }
}

/// The last record may be what was being written; before that there is always an anchor behind.
#[test]
fn every_flipped_bit_is_damage_or_the_end_and_never_another_journal() {
    let (journal, records) = (encode(TRANSFER, &NONCE, &records()), records());
    let offsets = offsets(&journal);
    let last = offsets[records.len() - 1];
    for bit in 0..journal.len() * 8 {
        let mut flipped = journal.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let hit = offsets.iter().filter(|at| **at <= bit / 8).count();
        match read(&flipped) {
            Ok(found) => {
                assert!(bit / 8 >= last, "bit {bit} passes unnoticed");
                assert_eq!(found, records[..records.len() - 1], "bit {bit}");
            }
            Err(Fault::Header | Fault::Version(_)) => assert_eq!(hit, 0, "bit {bit}"),
            Err(Fault::Record(reading)) => {
                assert!(hit > 0 && bit / 8 < last, "bit {bit}");
                let before: Vec<Record> = reading.records.into_iter().map(|(_, record)| record).collect();
                assert_eq!(before, records[..hit - 1], "bit {bit}");
            }
            Err(Fault::TooLarge) => panic!("bit {bit}"),
        }
    }
}

/// Written in one stretch without an anchor: nobody knows what of it a power failure has brought to the disk.
#[test]
fn a_tail_of_parts_is_cut_where_it_is_first_wrong() {
    let parts: Vec<Record> = std::iter::repeat_n(records()[1].clone(), 4).collect();
    let journal = encode(TRANSFER, &NONCE, &parts);
    let second = offsets(&journal)[1];
    let mut zeroed = journal.clone();
    zeroed[second..second + 40].fill(0);
    assert_eq!(read(&zeroed).unwrap(), parts[..1]);
    let mut flipped = journal;
    flipped[second + 20] ^= 1;
    assert_eq!(read(&flipped).unwrap(), parts[..1]);
}

#[test]
fn records_of_another_journal_do_not_continue_this_one() {
    let journal = encode(TRANSFER, &NONCE, &records());
    let other = encode(TRANSFER, &[9; 16], &records());
    let fourth = offsets(&journal)[3];
    let spliced = [&journal[..fourth], &other[fourth..]].concat();
    assert!(matches!(read(&spliced), Err(Fault::Record(_))));
    let swapped = {
        let at = offsets(&journal);
        [&journal[..at[1]], &journal[at[2]..at[3]], &journal[at[1]..at[2]], &journal[at[3]..]].concat()
    };
    assert!(matches!(read(&swapped), Err(Fault::Record(_))));
}

#[test]
fn lengths_that_nobody_would_write_are_not_believed() {
    let mut journal = encode(TRANSFER, &NONCE, &records()[..1]);
    journal.extend_from_slice(&u32::MAX.to_be_bytes());
    journal.extend_from_slice(&[4; 64]);
    assert_eq!(read(&journal).unwrap(), records()[..1]);
    assert_eq!(read(&vec![0; (32 << 20) + 1]), Err(Fault::TooLarge));
}

/// 1 MiB of zeros behind a bad record, and as much of anything: looking through it takes no time worth mentioning.
#[test]
fn a_long_tail_is_looked_through_quickly() {
    let started = std::time::Instant::now();
    for filler in [0_u8, 1, 2, 4] {
        let mut journal = encode(TRANSFER, &NONCE, &records());
        let end = journal.len();
        journal.resize(end + (1 << 20), filler);
        assert_eq!(read(&journal).unwrap(), records());
    }
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}
