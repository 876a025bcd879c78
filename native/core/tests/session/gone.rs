//! A session whose volume is to be opened again: that it was closed is not enough.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::pair::{DEADLINE, listener, target};
use super::pki;
use super::volumes::Place;

#[test]
fn is_waited_for_until_its_last_work_is_done() {
    let place = Place::new();
    let listener = listener(pki::target());
    let (session, _witness) = target(&place.root(), 1, &listener);
    // As a thread of the session would, this has a claim on it until it is done.
    let work = session.durable_later();
    let gone = session.gone_later();
    let (told, hears) = channel();
    let waiting = thread::spawn(move || told.send(gone()));
    assert_eq!(hears.recv_timeout(Duration::from_millis(100)).err(), Some(RecvTimeoutError::Timeout));
    work().unwrap();
    hears.recv_timeout(DEADLINE).unwrap().unwrap();
    waiting.join().unwrap().unwrap();
}
