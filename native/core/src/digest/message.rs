//! Short messages to be hashed at once: BLAKE3's hasher is two kilobytes of state, which for some 60 bytes of input costs
//! more to set up than the hash.

use blake3::Hasher;

use super::Digest;

/// Nearly every leaf is shorter: a name and 70 bytes.
const SHORT: usize = 384;

pub(super) struct Message {
    short: [u8; SHORT],
    length: usize,
    /// Takes over when it is longer.
    long: Option<Box<Hasher>>,
}

impl Message {
    pub(super) fn new() -> Self {
        Self { short: [0; SHORT], length: 0, long: None }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length + bytes.len();
        if let Some(hasher) = &mut self.long {
            hasher.update(bytes);
        } else if let Some(room) = self.short.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        } else {
            let mut hasher = Box::new(Hasher::new());
            hasher.update(&self.short[..self.length]).update(bytes);
            self.long = Some(hasher);
        }
        self
    }

    pub(super) fn digest(&self) -> Digest {
        match &self.long {
            Some(hasher) => *hasher.finalize().as_bytes(),
            None => *blake3::hash(&self.short[..self.length]).as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_all_bytes_in_a_row_however_many_there_are() {
        for parts in [&[0_usize][..], &[1, 383], &[384], &[383, 1, 1], &[200, 200, 200], &[385], &[5, 5_000, 7]] {
            let mut message = Message::new();
            let mut all = Vec::new();
            for (number, length) in parts.iter().enumerate() {
                let part = vec![number as u8 + 1; *length];
                message.put(&part);
                all.extend_from_slice(&part);
            }
            assert_eq!(message.digest(), *blake3::hash(&all).as_bytes(), "{parts:?}");
        }
    }
}
