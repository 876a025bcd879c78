//! What an open port has to endure.

use crate::support::{Desk, LONG, MAX_UNBOUND, Outcome, Pki, SECRET, assert_says, failure};
use pvferry_core::error::ErrorKind;
use pvferry_core::net::{Channel, ChannelKind, ListenerCounts, Unbound};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(600);

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LONG))?;
    Ok(stream)
}

fn failed(count: u64) -> ListenerCounts {
    ListenerCounts { accepted: count, handshakes_failed: count, ..ListenerCounts::default() }
}

#[test]
fn garbage_and_web_requests_are_closed_and_counted() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let noise: Vec<u8> = (0..100_000_u32).map(|i| (i * 7919 % 251) as u8).collect();
    let first_bytes: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &noise,
        b"\x16\x03\x01\xff\xff",
        // A ClientHello's record header and then nonsense.
        b"\x16\x03\x01\x00\x20\x01\x00\x00\x1cnonsensenonsensenonsensenonsens",
    ];
    for bytes in first_bytes {
        let mut stream = connect(desk.port())?;
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 32, "no more than an alert: {answer:?}");
    }
    desk.expect_counts(failed(4))?;
    desk.expect_service()
}

#[test]
fn silence_ends_with_the_deadline() -> Outcome {
    let desk = Desk::open(SOON, 8)?;
    let mut silent = connect(desk.port())?;
    let begun = Instant::now();
    assert_eq!(silent.read(&mut [0_u8; 8])?, 0);
    assert!(begun.elapsed() >= SOON / 2 && begun.elapsed() < SOON * 4);
    drop(silent);
    desk.expect_counts(failed(1))
}

#[test]
fn dripping_does_not_prolong_the_deadline() -> Outcome {
    let desk = Desk::open(SOON, 8)?;
    let mut drip = connect(desk.port())?;
    let begun = Instant::now();
    // A handshake message of 16 KiB that would take minutes to arrive.
    drip.write_all(b"\x16\x03\x01\x3f\xff\x01\x00\x3f\xfb")?;
    while drip.write_all(b"x").is_ok() && begun.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(10));
    }
    // The deadline, and the second in which the listener drains.
    assert!(begun.elapsed() < SOON + Duration::from_secs(3), "{:?}", begun.elapsed());
    desk.expect_counts(failed(1))
}

#[test]
fn two_hundred_port_scans_are_a_number() -> Outcome {
    let desk = Desk::open(LONG, 300)?;
    for number in 0..200 {
        let stream = connect(desk.port())?;
        if number % 2 == 0 {
            // Closes with a reset, as scanners do.
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
    }
    desk.expect_counts(failed(200))?;
    desk.expect_service()
}

#[test]
fn more_strangers_than_places_displace_the_oldest() -> Outcome {
    let desk = Desk::open(LONG, 4)?;
    let mut strangers = Vec::new();
    for _ in 0..20 {
        strangers.push(connect(desk.port())?);
    }
    desk.expect_counts(ListenerCounts { accepted: 20, displaced: 16, ..ListenerCounts::default() })?;
    for stranger in &mut strangers[..16] {
        assert_eq!(stranger.read(&mut [0_u8; 8])?, 0);
    }
    desk.expect_service()?;
    let before = threads()?;
    for _ in 0..200 {
        strangers.push(connect(desk.port())?);
    }
    assert!(threads()? < before + 100, "threads follow the strangers");
    desk.expect_service()
}

fn threads() -> std::io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

#[test]
fn a_peer_that_proves_itself_but_never_binds_is_dropped() -> Outcome {
    let desk = Desk::open(SOON, 8)?;
    let said = Pki::get()?
        .s_client(desk.port(), "-quiet -alpn pvferry-lane/1 -CAfile ca.crt -key leaf.key -cert source.crt")?;
    assert_says(&said, "");
    // It is no stranger, all the same.
    desk.expect_counts(ListenerCounts { accepted: 1, authenticated: 1, ..ListenerCounts::default() })
}

fn unbound(desk: &Desk) -> Result<Unbound, Box<dyn std::error::Error>> {
    let dialled = crate::support::tcp(desk.port())?;
    Ok(Unbound::dial(dialled, ChannelKind::Lane, &Pki::get()?.source()?, None, LONG)?)
}

#[test]
fn a_proven_connection_that_turns_out_to_be_needless_is_nobodys_failure() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let spare = unbound(&desk)?;
    assert!(spare.is_usable());
    spare.finish();
    desk.expect_counts(ListenerCounts { accepted: 1, authenticated: 1, ..ListenerCounts::default() })
}

/// One more than there is room for: when the oldest has gone, all have been seen.
fn one_too_many(desk: &Desk) -> Result<Vec<Unbound>, Box<dyn std::error::Error>> {
    let lanes = (0..=MAX_UNBOUND).map(|_| unbound(desk)).collect::<Result<Vec<_>, _>>()?;
    let seen = u64::try_from(lanes.len())?;
    desk.expect_counts(ListenerCounts { accepted: seen, displaced: 1, ..ListenerCounts::default() })?;
    let deadline = Instant::now() + LONG;
    while lanes.iter().all(Unbound::is_usable) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(lanes.into_iter().filter(Unbound::is_usable).collect())
}

#[test]
fn of_too_many_that_have_proven_themselves_and_bind_nothing_one_goes() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    assert_eq!(one_too_many(&desk)?.len(), MAX_UNBOUND);
    Ok(())
}

#[test]
fn strangers_do_not_take_the_place_of_who_has_proven_itself() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let _registration = desk.listener.register(SECRET, Arc::clone(&desk.session) as _);
    let lanes = one_too_many(&desk)?;
    let strangers = (0..18).map(|_| connect(desk.port())).collect::<Result<Vec<_>, _>>()?;
    let accepted = u64::try_from(1 + MAX_UNBOUND + strangers.len())?;
    desk.expect_counts(ListenerCounts { accepted, displaced: 11, ..ListenerCounts::default() })?;
    for (lane, number) in lanes.into_iter().zip(0..) {
        let (_lane, answer) = lane.bind(Channel::Lane(number), &SECRET, LONG)?.split();
        answer.wait()?;
    }
    drop(strangers);
    Ok(())
}

#[test]
fn both_families_are_served_and_the_port_is_freed() -> Outcome {
    let desk = Desk::open_at("::", LONG, 8)?;
    let port = desk.port();
    desk.expect_service()?;
    drop(TcpStream::connect(("::1", port))?);
    let again = failure(Desk::open_at_port("127.0.0.1", port))?;
    assert_eq!((again.kind, again.errno), (ErrorKind::Network, Some("EADDRINUSE")));
    assert_says(&again.message, &format!("Port {port} on 127.0.0.1 is in use"));
    desk.listener.close();
    desk.listener.close();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    drop(Desk::open_at_port("127.0.0.1", port)?);
    let nowhere = failure(Desk::open_at_port("192.0.2.1", 0))?;
    assert_eq!(nowhere.errno, Some("EADDRNOTAVAIL"));
    assert_says(&nowhere.message, "no address 192.0.2.1");
    let nobody = failure(Desk::open_at_port("no-such-host.invalid", 0))?;
    assert_says(&nobody.message, "no-such-host.invalid, does not resolve");
    Ok(())
}

#[test]
fn closing_ends_those_who_wait() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let mut waiting = connect(desk.port())?;
    desk.expect_counts(ListenerCounts { accepted: 1, ..ListenerCounts::default() })?;
    desk.listener.close();
    assert_eq!(waiting.read(&mut [0_u8; 8])?, 0);
    Ok(())
}

const CHILD: &str = "PVFERRY_TEST_SHORT_OF_DESCRIPTORS";

/// Runs itself again in a process with 40 descriptors, which 100 silent strangers use up.
#[test]
fn a_shortage_of_descriptors_passes() -> Outcome {
    if std::env::var_os(CHILD).is_some() {
        return short_of_descriptors();
    }
    let exe = std::env::current_exe()?;
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" --exact strangers::a_shortage_of_descriptors_passes --nocapture"])
        .arg(exe)
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no stdout")?;
    let mut port = None;
    let mut output = BufReader::new(output);
    for line in output.by_ref().lines() {
        if let Some((_, number)) = line?.split_once("port=") {
            port = Some(number.trim().parse::<u16>()?);
            break;
        }
    }
    let port = port.ok_or("no port")?;
    let _strangers: Vec<TcpStream> = (0..100).map(|_| connect(port)).collect::<Result<_, _>>()?;
    let own = Pki::get()?.texts("other-source", "other-ca", "pvferry://t1/target")?;
    // The child trusts the CA that it made itself, so an alert is the proof that it serves.
    let error = failure(pvferry_core::net::connect_control(
        crate::support::tcp(port)?,
        &pvferry_core::net::Credentials::new(&own)?,
        None,
        LONG,
    ))?;
    assert_says(&error.message, "was issued by another CA");
    drop(child.stdin.take());
    assert!(child.wait()?.success());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the parent reads the port from here")]
fn short_of_descriptors() -> Outcome {
    let desk = Desk::open(LONG, 1000)?;
    println!("port={}", desk.port());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    assert!(desk.listener.counts().displaced > 0);
    Ok(())
}
