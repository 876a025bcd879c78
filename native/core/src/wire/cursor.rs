//! Reading and writing integers and byte strings, big-endian. Reading checks every length against what is there.

/// A message that is shorter than it says, or longer, or holds a value that it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or(Malformed("a frame ends too early"))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(Malformed("a frame ends too early"))?;
        self.rest = tail;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn digest(&mut self) -> Result<[u8; 32], Malformed> {
        self.array()
    }

    /// A u8 length and as many bytes.
    pub fn short_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    /// A u32 length of at most `limit` and as many bytes.
    pub fn long_bytes(&mut self, limit: usize) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        if length > limit {
            return Err(Malformed("a length exceeds its limit"));
        }
        self.bytes(length)
    }

    /// What is left, all of it.
    pub fn remainder(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("a frame holds more than it should")) }
    }
}

/// Appending counterparts of `Cursor`. Lengths that do not fit were bounded before (limits.rs); they saturate, so that
/// the reader refuses them.
pub trait Put {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_i64(&mut self, value: i64);
    fn put_short_bytes(&mut self, bytes: &[u8]);
    fn put_long_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_short_bytes(&mut self, bytes: &[u8]) {
        self.put_u8(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        self.extend_from_slice(bytes);
    }

    fn put_long_bytes(&mut self, bytes: &[u8]) {
        self.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.extend_from_slice(bytes);
    }
}

/// Refuses what no directory entry can be called: '/', NUL, '.', '..', empty, or over 255 bytes.
pub fn check_name(name: &[u8]) -> Result<(), Malformed> {
    let bad = name.is_empty()
        || name.len() > super::limits::MAX_NAME
        || name == b"."
        || name == b".."
        || name.iter().any(|byte| *byte == 0 || *byte == b'/');
    if bad { Err(Malformed("a name holds '/' or NUL, or is '.', '..', empty or too long")) } else { Ok(()) }
}
