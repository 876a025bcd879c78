//! The first bytes on index and lanes: which session they belong to, and the listener's answer.

use super::duplex::Duplex;
use super::handshake::Limit;
use crate::error::CoreError;
use std::io;

/// magic (4), version u16, lane u16, reserved u32, secret (32); integers big-endian.
pub const BIND_BYTES: usize = 44;
pub const SECRET_BYTES: usize = 32;

/// What binds the index and the lanes to a session, as the control channel gave it; nothing prints it.
pub type Secret = [u8; SECRET_BYTES];

const MAGIC: &[u8; 4] = b"PVFB";
const VERSION: u16 = 1;
const BOUND: u8 = 0;
const REFUSED: u8 = 1;
const MAX_SENTENCE: usize = 2048;

pub struct Bind {
    pub lane: u16,
    pub secret: Secret,
}

impl Bind {
    pub fn encode(&self) -> [u8; BIND_BYTES] {
        let mut frame = [0_u8; BIND_BYTES];
        frame[..4].copy_from_slice(MAGIC);
        frame[4..6].copy_from_slice(&VERSION.to_be_bytes());
        frame[6..8].copy_from_slice(&self.lane.to_be_bytes());
        frame[12..].copy_from_slice(&self.secret);
        frame
    }

    /// `Err` is the sentence with which the peer is refused.
    pub fn decode(frame: &[u8; BIND_BYTES]) -> Result<Self, String> {
        if &frame[..4] != MAGIC {
            return Err("This is not pvferry's BIND frame.".to_owned());
        }
        let version = u16::from_be_bytes([frame[4], frame[5]]);
        if version != VERSION {
            return Err(format!("BIND has version {version}; this side speaks version {VERSION}."));
        }
        if frame[8..12] != [0; 4] {
            return Err("BIND's reserved bytes are not zero.".to_owned());
        }
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(&frame[12..]);
        Ok(Self { lane: u16::from_be_bytes([frame[6], frame[7]]), secret })
    }
}

pub fn bound() -> Vec<u8> {
    vec![BOUND]
}

pub fn refused(sentence: &str) -> Vec<u8> {
    let mut end = sentence.len().min(MAX_SENTENCE);
    while !sentence.is_char_boundary(end) {
        end -= 1;
    }
    let text = &sentence.as_bytes()[..end];
    let mut answer = vec![REFUSED];
    answer.extend_from_slice(&u16::try_from(text.len()).unwrap_or(0).to_be_bytes());
    answer.extend_from_slice(text);
    answer
}

/// A struct and not `json!`, which would put the fields into another order than docs/protocol.md has them.
#[derive(serde::Serialize)]
struct Refused<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: u8,
    message: &'a str,
    next: &'a str,
}

/// The same refusal on a control connection: one frame, as the other side's control reader expects it.
pub fn refused_control(code: u8, sentence: &str, next: &str) -> Vec<u8> {
    let refusal = Refused { kind: "refused", code, message: sentence, next };
    let body = serde_json::to_string(&refusal).unwrap_or_default();
    let mut frame = u32::try_from(body.len()).unwrap_or(0).to_be_bytes().to_vec();
    frame.extend_from_slice(body.as_bytes());
    frame
}

/// The dialler's half: sends BIND. Frames may follow it before the answer is there; a listener that refuses has not
/// looked at them.
pub fn request(stream: &dyn Duplex, bind: &Bind, limit: Limit) -> Result<(), CoreError> {
    Ok(stream.write_all(&[&bind.encode()], limit.left())?)
}

/// Reads the listener's answer, which comes before anything else.
pub fn await_answer(stream: &dyn Duplex, peer: &str, limit: Limit) -> Result<(), CoreError> {
    let mut verdict = [0_u8; 1];
    read_exact(stream, &mut verdict, limit, peer)?;
    match verdict[0] {
        BOUND => Ok(()),
        REFUSED => {
            let mut length = [0_u8; 2];
            read_exact(stream, &mut length, limit, peer)?;
            let length = usize::from(u16::from_be_bytes(length)).min(MAX_SENTENCE);
            let mut text = vec![0_u8; length];
            read_exact(stream, &mut text, limit, peer)?;
            Err(CoreError::untrusted(format!("{peer} refused: {}", printable(&text))))
        }
        other => Err(CoreError::protocol(format!("{peer} answered BIND with the unknown byte {other}."))),
    }
}

/// The listener's half: reads BIND. False when the dialler ends the connection before it, having no use for it.
pub fn receive(stream: &dyn Duplex, frame: &mut [u8; BIND_BYTES], limit: Limit) -> Result<bool, CoreError> {
    match stream.read(frame, limit.left())? {
        0 => Ok(false),
        count => read_exact(stream, &mut frame[count..], limit, "the dialler").map(|()| true),
    }
}

fn read_exact(stream: &dyn Duplex, buf: &mut [u8], limit: Limit, peer: &str) -> Result<(), CoreError> {
    let mut filled = 0;
    while filled < buf.len() {
        match stream.read(&mut buf[filled..], limit.left()) {
            Ok(0) => {
                return Err(CoreError::network(format!(
                    "{peer} closed the connection before it was bound to a session."
                )));
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(CoreError::network(format!("{peer} did not bind the connection to a session in time.")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The peer's words may hold anything; what is printed may not.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PlainStream;
    use std::time::Duration;

    #[test]
    fn frame_is_as_documented() {
        let bind = Bind { lane: 0x0102, secret: [0xab; SECRET_BYTES] };
        let mut golden = b"PVFB\x00\x01\x01\x02\x00\x00\x00\x00".to_vec();
        golden.extend_from_slice(&[0xab; 32]);
        assert_eq!(bind.encode().to_vec(), golden);
        let back = Bind::decode(&bind.encode());
        assert!(back.is_ok_and(|b| b.lane == 0x0102 && b.secret == [0xab; 32]));
    }

    #[test]
    fn wrong_frames_are_refused_in_words() {
        let good = Bind { lane: 0, secret: [0; SECRET_BYTES] }.encode();
        for (at, words) in [(0, "BIND frame"), (5, "version"), (9, "reserved")] {
            let mut frame = good;
            frame[at] ^= 0x40;
            let refusal = Bind::decode(&frame).err().unwrap_or_default();
            assert!(refusal.contains(words), "{refusal}");
        }
    }

    #[test]
    fn refusal_reaches_the_dialler_without_controls() -> Result<(), CoreError> {
        let (near, far) = PlainStream::pair()?;
        let limit = Limit::from_now(Duration::from_secs(5));
        far.write_all(&[&refused("No\x1b[2J such session.")], limit.left())?;
        let bind = Bind { lane: 1, secret: [1; SECRET_BYTES] };
        request(&near, &bind, limit)?;
        let error = await_answer(&near, "10.0.0.1:6443", limit).err();
        let message = error.map(|e| e.message).unwrap_or_default();
        assert_eq!(message, "10.0.0.1:6443 refused: No\u{fffd}[2J such session.");
        Ok(())
    }
}
