//! Whether a frame's data is worth compressing: decided by measurement, lane by lane.
//!
//! zstd -1 makes 0.2-0.4 GB/s per core. It pays only where the link is slower than that and the lane waits for it; on a
//! fast link, or when the processor is what limits, it costs. Data that does not shrink is left alone for a while.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Auto,
    None,
    Zstd,
}

const LEVEL: i32 = 1;

/// A lane slower than this, bytes per second, and mostly waiting, is worth compressing for.
const SLOW: f64 = 100e6;
/// Share of a send that the processor must have been idle for the lane to count as waiting.
const WAITING: f64 = 0.5;
/// Weight of the newest send in the running averages.
const WEIGHT: f64 = 0.2;
/// Frames that are not tried after one that did not shrink; doubled up to the second number.
const PAUSE: (u32, u32) = (4, 256);
/// A frame has to shrink below this share to travel compressed.
const SHRINKS: (usize, usize) = (7, 8);

pub struct Compressor {
    mode: Mode,
    zstd: Option<zstd::bulk::Compressor<'static>>,
    gathered: Vec<u8>,
    rate: f64,
    waiting: f64,
    pause: u32,
    next_pause: u32,
    cpu: Duration,
}

impl Compressor {
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            zstd: None,
            gathered: Vec::new(),
            rate: f64::INFINITY,
            waiting: 0.0,
            pause: 0,
            next_pause: PAUSE.0,
            cpu: Duration::ZERO,
        }
    }

    /// Compresses `parts`, `total` bytes in all, into `out` when that pays. Notes the time for `sent`.
    pub fn compress(&mut self, parts: &[&[u8]], total: usize, out: &mut Vec<u8>) -> bool {
        let compressed = self.wanted() && self.try_compress(parts, total, out);
        self.cpu = thread_time();
        compressed
    }

    fn wanted(&mut self) -> bool {
        let pays = match self.mode {
            Mode::None => false,
            Mode::Zstd => true,
            Mode::Auto => self.rate < SLOW && self.waiting > WAITING,
        };
        if pays && self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        pays
    }

    fn try_compress(&mut self, parts: &[&[u8]], total: usize, out: &mut Vec<u8>) -> bool {
        let data: &[u8] = if let [one] = parts {
            one
        } else {
            self.gathered.clear();
            parts.iter().for_each(|part| self.gathered.extend_from_slice(part));
            &self.gathered
        };
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        let Some(zstd) = self.zstd.as_mut() else { return false };
        out.clear();
        out.reserve(zstd::zstd_safe::compress_bound(total));
        let shrunk = zstd.compress_to_buffer(data, out).is_ok_and(|size| size < total / SHRINKS.1 * SHRINKS.0);
        if shrunk {
            self.next_pause = PAUSE.0;
        } else {
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 2).min(PAUSE.1);
        }
        shrunk
    }

    /// A send of `bytes` took so long.
    pub fn sent(&mut self, bytes: usize, elapsed: Duration) {
        if self.mode != Mode::Auto || bytes < 16 * 1_024 {
            return;
        }
        let seconds = elapsed.as_secs_f64().max(1e-6);
        let busy = thread_time().saturating_sub(self.cpu).as_secs_f64();
        let rate = bytes as f64 / seconds;
        self.rate = if self.rate.is_finite() { self.rate * (1.0 - WEIGHT) + rate * WEIGHT } else { rate };
        self.waiting = self.waiting * (1.0 - WEIGHT) + (1.0 - busy / seconds).max(0.0) * WEIGHT;
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Decompresses a frame's data, which must be exactly `length` bytes long.
pub fn decompress(data: &[u8], length: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    out.reserve(length);
    zstd::bulk::Decompressor::new()
        .and_then(|mut zstd| zstd.decompress_to_buffer(data, out))
        .is_ok_and(|size| size == length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_data_comes_back_and_other_data_is_left_alone() {
        let mut compressor = Compressor::new(Mode::Zstd);
        let (mut out, mut back) = (Vec::new(), Vec::new());
        let text = b"to be or not to be ".repeat(1_000);
        assert!(compressor.compress(&[&text[..500], &text[500..]], text.len(), &mut out));
        assert!(decompress(&out, text.len(), &mut back));
        assert_eq!(back, text);
        assert!(!decompress(&out, text.len() - 1, &mut back), "a wrong length must be refused");
        let mut noise = vec![0; 20_000];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert!(!compressor.compress(&[&noise], noise.len(), &mut out));
        assert!(!compressor.compress(&[&text], text.len(), &mut out), "paused after data that does not shrink");
    }

    #[test]
    fn auto_compresses_on_a_slow_link_that_waits() {
        let mut compressor = Compressor::new(Mode::Auto);
        let text = b"to be or not to be ".repeat(10_000);
        let mut out = Vec::new();
        assert!(!compressor.compress(&[&text], text.len(), &mut out), "nothing is known yet");
        for _ in 0..20 {
            compressor.compress(&[&text], text.len(), &mut out);
            compressor.sent(1_000_000, Duration::from_millis(500));
        }
        assert!(compressor.compress(&[&text], text.len(), &mut out));
    }
}
