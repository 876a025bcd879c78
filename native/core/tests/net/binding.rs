//! Index and lanes on their way to the session that waits for them.

use crate::support::{Desk, LONG, Outcome, Pki, SECRET, assert_says, failure, tcp};
use pvferry_core::error::ErrorKind;
use pvferry_core::net::{
    Channel, ChannelKind, Credentials, Duplex, ListenerCounts, SessionSink, Unbound, connect_bound,
};
use std::sync::Arc;

#[test]
fn the_secret_decides_and_refusals_are_sentences() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let tls = Pki::get()?.source()?;
    let registration = desk.listener.register(SECRET, Arc::clone(&desk.session) as _);
    let index = connect_bound(tcp(desk.port())?, Channel::Index, &tls, None, &SECRET, LONG)?;
    let (channel, far_index) = desk.session.next()?;
    assert_eq!(channel, Channel::Index);
    let lane = connect_bound(tcp(desk.port())?, Channel::Lane(7), &tls, Some("localhost"), &SECRET, LONG)?;
    let (channel, far_lane) = desk.session.next()?;
    assert_eq!(channel, Channel::Lane(7));
    for (near, far) in [(&index, &far_index), (&lane, &far_lane)] {
        near.write_all(&[b"to and fro"], LONG)?;
        let mut buf = [0_u8; 32];
        let count = far.read(&mut buf, LONG)?;
        far.write_all(&[&buf[..count]], LONG)?;
        assert_eq!(near.read(&mut buf, LONG)?, 10);
    }
    let lane_to = |lane: u16, secret: &[u8; 32]| -> Result<String, Box<dyn std::error::Error>> {
        let error = failure(connect_bound(tcp(desk.port())?, Channel::Lane(lane), &tls, None, secret, LONG))?;
        assert_eq!(error.kind, ErrorKind::Untrusted);
        Ok(error.message)
    };
    assert_says(&lane_to(13, &SECRET)?, "refused: Lane 13 is not wanted.");
    let mut wrong = SECRET;
    wrong[31] ^= 1;
    assert_says(&lane_to(1, &wrong)?, "refused: No session here has this secret");
    drop(registration);
    assert_says(&lane_to(1, &SECRET)?, "refused: No session here has this secret");
    desk.expect_counts(ListenerCounts { accepted: 5, authenticated: 2, refused: 3, ..ListenerCounts::default() })
}

#[test]
fn a_wrong_role_is_refused_on_lanes_in_words() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let _registration = desk.listener.register(SECRET, Arc::clone(&desk.session) as _);
    for (leaf, words) in [("target", "role target, but source was expected"), ("foreign-source", "transfer t2")] {
        let tls = Credentials::new(&Pki::get()?.texts(leaf, "ca", "pvferry://t1/target")?)?;
        let error = failure(connect_bound(tcp(desk.port())?, Channel::Lane(1), &tls, None, &SECRET, LONG))?;
        assert_eq!(error.kind, ErrorKind::Untrusted);
        assert_says(&error.message, words);
    }
    Ok(())
}

/// Writes from within `bind`, before the listener has answered.
struct Hasty;

impl SessionSink for Hasty {
    fn bind(&self, _channel: Channel, stream: Arc<dyn Duplex>) -> Result<(), String> {
        stream.write_all(&[b"already here"], LONG).map_err(|e| e.to_string())
    }
}

#[test]
fn the_answer_precedes_whatever_the_session_writes() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let _registration = desk.listener.register(SECRET, Arc::new(Hasty));
    let tls = Pki::get()?.source()?;
    let index = connect_bound(tcp(desk.port())?, Channel::Index, &tls, None, &SECRET, LONG)?;
    let mut buf = [0_u8; 32];
    let count = index.read(&mut buf, LONG)?;
    assert_eq!(&buf[..count], b"already here");
    Ok(())
}

/// Waits, from within `bind`, for what the dialler writes: the listener answers only after that.
struct Patient;

impl SessionSink for Patient {
    fn bind(&self, _channel: Channel, stream: Arc<dyn Duplex>) -> Result<(), String> {
        let mut buf = [0_u8; 32];
        let count = stream.read(&mut buf, LONG).map_err(|e| e.to_string())?;
        Err(String::from_utf8_lossy(&buf[..count]).into_owned())
    }
}

#[test]
fn a_dialler_may_write_before_it_has_the_answer() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let _registration = desk.listener.register(SECRET, Arc::new(Patient));
    let tls = Pki::get()?.source()?;
    let lane = Unbound::dial(tcp(desk.port())?, ChannelKind::Lane, &tls, None, LONG)?;
    let (stream, answer) = lane.bind(Channel::Lane(3), &SECRET, LONG)?.split();
    stream.write_all(&[b"not asked"], LONG)?;
    let error = failure(answer.wait())?;
    assert_says(&error.message, "refused: not asked");
    Ok(())
}

#[test]
fn the_deadline_covers_the_answer() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let fd = tcp(listener.local_addr()?.port())?;
    let tls = Pki::get()?.source()?;
    let error =
        failure(connect_bound(fd, Channel::Lane(1), &tls, None, &SECRET, std::time::Duration::from_millis(300)))?;
    assert_eq!(error.kind, ErrorKind::Network);
    drop(desk);
    Ok(())
}
