//! One direction of a path: a bottleneck with a queue before it, and the way behind it.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No packet of a TUN device is longer.
const PACKET_MOST: usize = 65_536;

/// What a path is like, each way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Path {
    delay: Duration,
    /// Of all packets, 0 to 1.
    loss: f64,
    bytes_per_second: f64,
    /// What waits before the bottleneck at most, bytes.
    queue: f64,
    /// Added to the delay, evenly spread, never so that a packet overtakes another.
    jitter: Duration,
}

#[derive(Default)]
pub(crate) struct Counts {
    passed: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
}

impl Counts {
    pub(crate) fn read(&self) -> [u64; 3] {
        [&self.passed, &self.lost, &self.refused].map(|counter| counter.load(Ordering::Relaxed))
    }
}

/// A packet, and when it arrives.
type Travelling = (Instant, Vec<u8>);

impl Path {
    pub(crate) fn read(settings: &[String]) -> Result<Self, String> {
        let mut path = Self {
            delay: Duration::ZERO,
            loss: 0.0,
            bytes_per_second: 1.25e9,
            queue: f64::from(4 << 20),
            jitter: Duration::ZERO,
        };
        for setting in settings {
            let (name, value) = setting.split_once('=').ok_or_else(|| format!("{setting}: NAME=NUMBER is expected"))?;
            let number = value.parse().ok().filter(|number| (0.0..1e9).contains(number));
            let number: f64 = number.ok_or_else(|| format!("{setting}: no such number can be"))?;
            match name {
                "delay_ms" => path.delay = Duration::from_secs_f64(number / 1e3),
                "loss_percent" => path.loss = number / 100.0,
                "rate_mbit" if number > 0.0 => path.bytes_per_second = number * 1e6 / 8.0,
                "queue_kib" => path.queue = number * 1024.0,
                "jitter_ms" => path.jitter = Duration::from_secs_f64(number / 1e3),
                _ => return Err(format!("{setting}: there is no such setting")),
            }
        }
        Ok(path)
    }

    /// Begins to carry what `from` sends to `to`, on two threads that end with the process.
    pub(crate) fn carry(self, from: &Arc<File>, to: &Arc<File>, seed: u64) -> Arc<Counts> {
        let counts = Arc::new(Counts::default());
        let (sender, receiver) = channel();
        let (from, to, counting) = (Arc::clone(from), Arc::clone(to), Arc::clone(&counts));
        thread::spawn(move || Bottleneck::new(self, seed).take(&from, &counting, &sender));
        thread::spawn(move || deliver(&receiver, &to));
        counts
    }
}

struct Bottleneck {
    path: Path,
    dice: Dice,
    /// When all that was taken so far will have passed.
    free: Instant,
    /// When the last of it arrives.
    last: Instant,
}

impl Bottleneck {
    fn new(path: Path, seed: u64) -> Self {
        let now = Instant::now();
        Self { path, dice: Dice(seed), free: now, last: now }
    }

    fn take(mut self, mut from: &File, counts: &Counts, sender: &Sender<Travelling>) {
        let mut buffer = vec![0; PACKET_MOST];
        // A device that is not up yet has nothing to read; that is an error, and passes.
        loop {
            let Ok(length) = from.read(&mut buffer) else {
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            let counter = match self.arrival(length, Instant::now()) {
                Fate::Arrives(at) if sender.send((at, buffer[..length].to_vec())).is_err() => return,
                Fate::Arrives(_) => &counts.passed,
                Fate::Lost => &counts.lost,
                Fate::Refused => &counts.refused,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn arrival(&mut self, length: usize, now: Instant) -> Fate {
        let path = self.path;
        let waiting = self.free.saturating_duration_since(now).as_secs_f64() * path.bytes_per_second;
        if waiting > path.queue {
            return Fate::Refused;
        }
        self.free = self.free.max(now) + Duration::from_secs_f64(length as f64 / path.bytes_per_second);
        // It is lost behind the bottleneck: it has taken its time there like any other.
        if self.dice.roll() < path.loss {
            return Fate::Lost;
        }
        self.last = self.last.max(self.free + path.delay + path.jitter.mul_f64(self.dice.roll()));
        Fate::Arrives(self.last)
    }
}

#[derive(Debug, PartialEq)]
enum Fate {
    Arrives(Instant),
    Lost,
    /// The queue was full.
    Refused,
}

fn deliver(receiver: &Receiver<Travelling>, mut to: &File) {
    // The kernel's own slack would be a jitter of 50 us. Without the right to do without it, that is what there is.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    while let Ok((due, packet)) = receiver.recv() {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            thread::sleep(left);
        }
        // A device that is down, or full, loses packets like any other.
        let _ = to.write(&packet);
    }
}

/// Numbers from 0 to 1, always the same ones: SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(settings: &[&str]) -> Path {
        Path::read(&settings.iter().map(|setting| (*setting).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn packets_follow_one_another_at_the_rate_and_arrive_after_the_delay() {
        let mut bottleneck = Bottleneck::new(path(&["delay_ms=25", "rate_mbit=12", "queue_kib=4"]), 1);
        let start = bottleneck.free;
        // 12 Mbit/s: one of 1,500 bytes takes a millisecond. The queue has 4 KiB, those that pass included.
        let fates: Vec<Fate> = (0..4).map(|_| bottleneck.arrival(1500, start)).collect();
        let at = |ms| Fate::Arrives(start + Duration::from_millis(ms));
        assert_eq!(fates, [at(26), at(27), at(28), Fate::Refused]);
        assert_eq!(bottleneck.arrival(1500, start + Duration::from_millis(100)), at(126));
    }

    #[test]
    fn as_many_are_lost_as_was_said_and_none_overtakes_another() {
        let mut bottleneck = Bottleneck::new(path(&["loss_percent=1", "jitter_ms=9", "rate_mbit=1000"]), 3);
        let (start, mut last, mut lost) = (bottleneck.free, bottleneck.free, 0);
        for packet in 0..100_000 {
            match bottleneck.arrival(100, start + Duration::from_micros(10 * packet)) {
                Fate::Arrives(at) => {
                    assert!(at >= last);
                    last = at;
                }
                Fate::Lost => lost += 1,
                Fate::Refused => panic!("the queue was never full"),
            }
        }
        assert!((900..1100).contains(&lost), "{lost}");
    }

    #[test]
    fn a_setting_that_is_none_is_refused() {
        for wrong in ["delay", "delay_ms=x", "delay_ms=-1", "rate_mbit=0", "speed=1"] {
            assert!(Path::read(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
