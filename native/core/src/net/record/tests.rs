//! Both directions against each other, and what a hostile peer may put into a record.

use std::io::IoSlice;

use rustls::crypto::cipher::{AeadKey, Iv};
use rustls::{AlertDescription, ConnectionTrafficSecrets, Error};

use super::{ALERT, APPLICATION_DATA, Arrival, CONTENT_MOST, HANDSHAKE, HEADER_BYTES, Inbox, KeySchedule, Outbox};
use super::{RecordKey, TAG_BYTES, alert_for};

/// A key of its own for each generation, the same on both sides.
fn key(generation: u8) -> RecordKey {
    let secrets =
        ConnectionTrafficSecrets::Aes256Gcm { key: AeadKey::from([generation; 32]), iv: Iv::from([generation; 12]) };
    RecordKey::new((0, secrets)).unwrap()
}

#[derive(Default)]
struct Generations {
    sending: u8,
    receiving: u8,
}

impl KeySchedule for Generations {
    fn next_sending(&mut self) -> Result<RecordKey, Error> {
        self.sending += 1;
        Ok(key(self.sending))
    }

    fn next_receiving(&mut self) -> Result<RecordKey, Error> {
        self.receiving += 1;
        Ok(key(self.receiving))
    }
}

struct Wire {
    outbox: Outbox,
    inbox: Inbox,
    schedule: Generations,
}

impl Wire {
    fn new() -> Self {
        Self {
            outbox: Outbox::new(key(0)),
            inbox: Inbox::new(key(0), Vec::new(), &[]),
            schedule: Generations::default(),
        }
    }

    fn pass(&mut self) {
        let pending = self.outbox.pending().to_vec();
        self.outbox.taken(pending.len());
        self.feed(&pending);
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.inbox.room()[..bytes.len()].copy_from_slice(bytes);
        self.inbox.received(bytes.len());
    }

    fn open(&mut self, buf: &mut [u8]) -> Result<Arrival, Error> {
        self.inbox.open_into(&mut self.schedule, buf)
    }

    /// One record, sealed with the sender's present key.
    fn put(&mut self, kind: u8, inner: &[u8], padding: usize, sequence: u64) {
        let secrets = ConnectionTrafficSecrets::Aes256Gcm { key: AeadKey::from([0; 32]), iv: Iv::from([0; 12]) };
        let mut content = inner.to_vec();
        let mut record = vec![0; HEADER_BYTES + inner.len() + padding + 1 + TAG_BYTES];
        // With padding, the type stands within what `seal` takes for content, and a zero in the type's place.
        let kind = if padding == 0 {
            kind
        } else {
            content.push(kind);
            content.resize(inner.len() + padding, 0);
            0
        };
        RecordKey::new((sequence, secrets)).unwrap().seal(kind, &content, &mut record).unwrap();
        self.feed(&record);
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[test]
fn parts_of_any_size_arrive_in_buffers_of_any_size() {
    let all = pattern(400_000);
    for cuts in [vec![8, 52], vec![0, 1, 16_384, 16_385], vec![100_000, 100_001, 399_999], vec![]] {
        for room in [1, 8, 16_383, 16_384, 16_385, 600_000] {
            let mut wire = Wire::new();
            let mut parts = Vec::new();
            let mut start = 0;
            for end in cuts.iter().copied().chain([all.len()]) {
                parts.push(IoSlice::new(&all[start..end]));
                start = end;
            }
            let mut rest = parts.as_mut_slice();
            let mut heard = Vec::new();
            let mut buf = vec![0; room];
            while !rest.is_empty() {
                IoSlice::advance_slices(&mut rest, 0);
                wire.outbox.fill(&mut rest).unwrap();
                // The inbox takes no more than a socket would give it at once.
                while !wire.outbox.pending().is_empty() {
                    let chunk: Vec<u8> = wire.outbox.pending().iter().copied().take(50_000).collect();
                    wire.outbox.taken(chunk.len());
                    wire.feed(&chunk);
                    loop {
                        let had = wire.inbox.take(&mut buf);
                        heard.extend_from_slice(&buf[..had]);
                        match wire.open(&mut buf).unwrap() {
                            Arrival::Content(count) => heard.extend_from_slice(&buf[..count]),
                            Arrival::Incomplete if wire.inbox.has_content() => {}
                            Arrival::Incomplete => break,
                            other => panic!("{other:?}"),
                        }
                        while wire.inbox.has_content() {
                            let had = wire.inbox.take(&mut buf);
                            heard.extend_from_slice(&buf[..had]);
                        }
                    }
                }
            }
            assert!(heard == all, "cuts {cuts:?}, room {room}: {} bytes", heard.len());
        }
    }
}

#[test]
fn a_changed_key_is_followed() {
    let mut wire = Wire::new();
    for round in 0..3 {
        let words = [round; 10];
        let mut parts = [IoSlice::new(&words)];
        let mut rest = parts.as_mut_slice();
        wire.outbox.fill(&mut rest).unwrap();
        wire.outbox.change_key(&mut wire.schedule).unwrap();
        wire.pass();
        let mut buf = [9; 64];
        assert_eq!(wire.open(&mut buf).unwrap(), Arrival::Content(10));
        assert_eq!(buf[..10], words);
        assert_eq!(wire.open(&mut buf).unwrap(), Arrival::Internal);
    }
    assert_eq!((wire.schedule.sending, wire.schedule.receiving), (3, 3));
}

#[test]
fn padding_is_taken_off() {
    let mut wire = Wire::new();
    wire.put(APPLICATION_DATA, b"padded", 100, 0);
    let mut buf = [0; 512];
    assert_eq!(wire.open(&mut buf).unwrap(), Arrival::Content(6));
    assert_eq!(&buf[..6], b"padded");
    // Into too small a buffer as well.
    wire.put(APPLICATION_DATA, b"padded", 100, 1);
    assert_eq!(wire.open(&mut buf[..4]).unwrap(), Arrival::Content(4));
    assert_eq!(wire.inbox.take(&mut buf), 2);
}

#[test]
fn handshake_messages_come_whole_or_in_parts() {
    let update: &[u8] = &[24, 0, 0, 1, 1];
    let ticket: Vec<u8> = [4, 0, 0, 200].into_iter().chain(pattern(200)).collect();
    let mut wire = Wire::new();
    let mut buf = [0; 512];
    wire.put(HANDSHAKE, &ticket[..50], 0, 0);
    wire.put(HANDSHAKE, &ticket[50..], 0, 1);
    wire.put(HANDSHAKE, &update[..3], 0, 2);
    wire.put(HANDSHAKE, &update[3..], 0, 3);
    for expected in [Arrival::Internal, Arrival::Internal, Arrival::Internal, Arrival::KeyUpdateWanted] {
        assert_eq!(wire.open(&mut buf).unwrap(), expected);
    }
    assert_eq!(wire.schedule.receiving, 1);
}

#[test]
fn alerts_end_the_connection_or_do_not() {
    let mut wire = Wire::new();
    let mut buf = [0; 64];
    wire.put(ALERT, &[1, 90], 0, 0);
    wire.put(ALERT, &[2, 40], 0, 1);
    wire.put(ALERT, &[1, 0], 0, 2);
    assert_eq!(wire.open(&mut buf).unwrap(), Arrival::Internal);
    assert_eq!(wire.open(&mut buf).unwrap_err(), Error::AlertReceived(AlertDescription::HandshakeFailure));
    assert_eq!(wire.open(&mut buf).unwrap(), Arrival::End);
}

#[test]
fn what_no_peer_may_send_is_refused_with_the_alert_for_it() {
    let refused = |wire: &mut Wire| {
        let error = wire.open(&mut vec![0; 40_000]).unwrap_err();
        alert_for(&error).map(AlertDescription::from)
    };
    let fed = |bytes: &[u8]| {
        let mut wire = Wire::new();
        wire.feed(bytes);
        refused(&mut wire)
    };
    let put = |kind: u8, inner: &[u8]| {
        let mut wire = Wire::new();
        wire.put(kind, inner, 0, 0);
        refused(&mut wire)
    };
    // Not application data on the outside; too long; too short for a type and a tag; damaged.
    assert_eq!(fed(&[22, 3, 3, 0, 40]), Some(AlertDescription::UnexpectedMessage));
    assert_eq!(fed(&[23, 3, 3, 0x41, 1]), Some(AlertDescription::RecordOverflow));
    assert_eq!(fed(&[23, 3, 3, 0, 16]), Some(AlertDescription::BadRecordMac));
    assert_eq!(fed(&[&[23, 3, 3, 0, 40][..], &[7; 40]].concat()), Some(AlertDescription::BadRecordMac));
    // More content than allowed; nothing but padding; an unknown type; a handshake message out of place, or endless.
    assert_eq!(put(APPLICATION_DATA, &vec![1; CONTENT_MOST + 1]), Some(AlertDescription::RecordOverflow));
    assert_eq!(put(0, &[0; 20]), Some(AlertDescription::UnexpectedMessage));
    assert_eq!(put(20, &[1]), Some(AlertDescription::UnexpectedMessage));
    assert_eq!(put(HANDSHAKE, &[1, 0, 0, 0]), Some(AlertDescription::UnexpectedMessage));
    assert_eq!(put(HANDSHAKE, &[4, 1, 0, 1]), Some(AlertDescription::DecodeError));
    // A message on both sides of a change of keys.
    assert_eq!(put(HANDSHAKE, &[24, 0, 0, 1, 0, 24]), Some(AlertDescription::UnexpectedMessage));
}

#[test]
fn a_record_that_is_repeated_or_left_out_does_not_decrypt() {
    for order in [[0, 0], [1, 0]] {
        let mut wire = Wire::new();
        let mut buf = [0; 64];
        for sequence in order {
            wire.put(APPLICATION_DATA, b"once", 0, sequence);
        }
        let outcomes: Vec<_> = (0..2).map(|_| wire.open(&mut buf)).collect();
        assert!(outcomes.iter().any(|outcome| *outcome == Err(Error::DecryptError)), "{outcomes:?}");
    }
}
