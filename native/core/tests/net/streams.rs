//! The stream itself: both directions at once, deadlines, broken connections, last words.

use crate::support::{Desk, LONG, Outcome, Pki, assert_says, dial, failure};
use pvferry_core::error::ErrorKind;
use pvferry_core::net::{Duplex, TlsStream};
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const BRIEF: Duration = Duration::from_millis(200);

fn pair() -> Result<(Desk, TlsStream, TlsStream), Box<dyn Error>> {
    let desk = Desk::open(LONG, 8)?;
    let near = dial(desk.port(), &Pki::get()?.source()?)?;
    let far = desk.control()?;
    Ok((desk, near, far))
}

/// Bytes that no shift or swap of blocks leaves unchanged.
fn pattern(from: usize, length: usize, salt: u64) -> Vec<u8> {
    (from..from + length)
        .map(|i| {
            let mixed = (i as u64 ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 56) as u8
        })
        .collect()
}

const TOTAL: usize = 24 << 20;

fn pump_out(stream: &TlsStream, salt: u64) -> io::Result<()> {
    let sizes = [1_usize, 0, 16_384, 16_385, 700_000, 5, 262_144];
    let mut sent = 0;
    for round in 0.. {
        if sent >= TOTAL {
            break;
        }
        let first = sizes[round % sizes.len()].min(TOTAL - sent);
        let second = sizes[(round + 3) % sizes.len()].min(TOTAL - sent - first);
        let bytes = pattern(sent, first + second, salt);
        let (a, b) = bytes.split_at(first);
        stream.write_all(&[a, b], LONG)?;
        sent += first + second;
    }
    Ok(())
}

fn pump_in(stream: &TlsStream, salt: u64) -> io::Result<usize> {
    let mut got = 0;
    let mut buf = vec![0_u8; 100_000];
    while got < TOTAL {
        let count = stream.read(&mut buf, LONG)?;
        if count == 0 || buf[..count] != pattern(got, count, salt)[..] {
            break;
        }
        got += count;
    }
    Ok(got)
}

#[test]
fn both_directions_carry_at_once() -> Outcome {
    let (_desk, near, far) = pair()?;
    std::thread::scope(|scope| {
        let tasks = [
            scope.spawn(|| pump_out(&near, 1).map(|()| TOTAL)),
            scope.spawn(|| pump_out(&far, 2).map(|()| TOTAL)),
            scope.spawn(|| pump_in(&near, 2)),
            scope.spawn(|| pump_in(&far, 1)),
        ];
        for task in tasks {
            assert_eq!(task.join().map_err(|_| "thread")??, TOTAL);
        }
        Outcome::Ok(())
    })?;
    std::thread::scope(|scope| {
        scope.spawn(|| near.finish(LONG));
        assert_eq!(far.read(&mut [0_u8; 1], LONG)?, 0);
        far.finish(LONG);
        Ok(())
    })
}

#[test]
fn waits_end_with_their_deadline() -> Outcome {
    let (_desk, near, _far) = pair()?;
    let begun = Instant::now();
    let late = near.read(&mut [0_u8; 1], BRIEF);
    assert_eq!(late.as_ref().map_err(io::Error::kind), Err(io::ErrorKind::TimedOut));
    let error = failure(late)?;
    assert_eq!(error.kind, ErrorKind::Network);
    assert_says(&error.message, "made no progress in time");
    // The peer does not read: the buffers fill up, then nothing moves.
    let stuck = near.write_all(&[&vec![0_u8; 64 << 20]], BRIEF);
    assert_eq!(stuck.map_err(|e| e.kind()), Err(io::ErrorKind::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(10));
    Ok(())
}

#[test]
fn abort_wakes_reader_and_writer() -> Outcome {
    let (_desk, near, far) = pair()?;
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| near.read(&mut [0_u8; 1], LONG).map(|_| ()));
        let writer = scope.spawn(|| near.write_all(&[&vec![0_u8; 64 << 20]], LONG));
        std::thread::sleep(BRIEF);
        let begun = Instant::now();
        near.abort();
        near.abort();
        for task in [reader, writer] {
            let ended = task.join().map_err(|_| "thread")?;
            assert_eq!(ended.map_err(|e| e.kind()), Err(io::ErrorKind::ConnectionAborted));
        }
        assert!(begun.elapsed() < Duration::from_secs(1));
        Outcome::Ok(())
    })?;
    assert!(near.write_all(&[b"x"], LONG).is_err());
    // The other side has no farewell, which is not a clean end.
    let mut buf = vec![0_u8; 1 << 20];
    let end = loop {
        match far.read(&mut buf, LONG) {
            Ok(0) => return Err("taken for a clean end".into()),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(failure(Err::<(), _>(end))?.kind, ErrorKind::Network);
    Ok(())
}

#[test]
fn last_words_arrive_although_the_peer_still_sends_and_reads_late() -> Outcome {
    let (_desk, near, far) = pair()?;
    let words = &pattern(0, 3 << 20, 9);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Sends until it is told to stop.
            while far.write_all(&[&[1_u8; 8192]], LONG).is_ok() {}
        });
        // Ends with `near` itself: what counts is that the descriptor is closed without a reset.
        scope.spawn(move || {
            let _ = near.write_all(&[words], LONG);
            near.finish(LONG);
        });
        // Meanwhile most of it is still in the sender's kernel, which a reset would throw away.
        std::thread::sleep(BRIEF);
        let mut heard = Vec::new();
        let mut buf = vec![0_u8; 1 << 16];
        let end = loop {
            match far.read(&mut buf, LONG) {
                Ok(0) => break Ok(()),
                Ok(count) => heard.extend_from_slice(&buf[..count]),
                Err(error) => break Err(error),
            }
        };
        far.abort();
        end?;
        assert!(heard == *words, "{} bytes of {}", heard.len(), words.len());
        Ok(())
    })
}

/// A relay between dialler and listener that may spoil what the dialler sends.
fn relay(to: u16, spoil: fn(&mut [u8], usize), cut_after: usize) -> Result<u16, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || -> io::Result<()> {
        let (mut near, _) = listener.accept()?;
        let mut far = TcpStream::connect(("127.0.0.1", to))?;
        let (mut back_from, mut back_to) = (far.try_clone()?, near.try_clone()?);
        std::thread::spawn(move || io::copy(&mut back_from, &mut back_to));
        let mut buf = [0_u8; 4096];
        let mut passed = 0;
        loop {
            let count = near.read(&mut buf)?;
            if count == 0 || passed + count > cut_after {
                return far.shutdown(Shutdown::Both);
            }
            spoil(&mut buf[..count], passed);
            far.write_all(&buf[..count])?;
            passed += count;
        }
    });
    Ok(port)
}

fn read_to_error(stream: &TlsStream) -> Result<io::Error, Box<dyn Error>> {
    let mut buf = vec![0_u8; 1 << 16];
    loop {
        match stream.read(&mut buf, LONG) {
            Ok(0) => return Err("a clean end".into()),
            Ok(_) => {}
            Err(error) => return Ok(error),
        }
    }
}

#[test]
fn a_flipped_bit_is_noticed_and_told() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let flip: fn(&mut [u8], usize) = |bytes, passed| {
        if passed > 50_000 {
            bytes[0] ^= 1;
        }
    };
    let near = dial(relay(desk.port(), flip, usize::MAX)?, &Pki::get()?.source()?)?;
    let far = desk.control()?;
    near.write_all(&[&[3_u8; 100_000]], LONG)?;
    let error = failure(Err::<(), _>(read_to_error(&far)?))?;
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert_says(&error.message, "does not decrypt");
    assert!(far.read(&mut [0_u8; 1], LONG).is_err(), "and stays broken");
    let told = failure(Err::<(), _>(read_to_error(&near)?))?;
    assert_says(&told.message, "bad_record_mac");
    Ok(())
}

#[test]
fn a_connection_cut_in_the_middle_is_not_a_clean_end() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let near = dial(relay(desk.port(), |_, _| {}, 200_000)?, &Pki::get()?.source()?)?;
    let far = desk.control()?;
    let _ = near.write_all(&[&vec![3_u8; 1 << 20]], LONG);
    let error = read_to_error(&far)?;
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_says(&failure(Err::<(), _>(error))?.message, "ended without a farewell");
    Ok(())
}
