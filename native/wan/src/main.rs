//! `pvferry-wan NETNS NETNS [delay_ms=N] [loss_percent=P] [rate_mbit=N] [queue_kib=N] [jitter_ms=N]`: a long path between two
//! network namespaces (paths, as in /run/netns). Each gets a device `wan`, whose addresses the caller sets; what one
//! sends, the other gets that much later, unless it is lost. Says "ready" when the devices are there, and ends with its
//! standard input, saying what became of the packets of each direction.
//!
//! It works with whole packets and in user space, because kernels are built without `sch_netem`: TCP sees true round
//! trips, losses and a full queue.

mod path;
mod tun;

use path::{Counts, Path};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "pvferry-wan: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), String> {
    let [near, far, settings @ ..] = args else {
        return Err("two network namespaces come first".to_owned());
    };
    let path = Path::read(settings)?;
    let open = |namespace: &str| tun::open(namespace).map_err(|error| format!("{namespace}: {error}"));
    let (near, far) = (Arc::new(open(near)?), Arc::new(open(far)?));
    let there = path.carry(&near, &far, 1);
    let back = path.carry(&far, &near, 2);
    say("ready")?;
    // Whoever started this program keeps the other end open, and closes it by ending, however it ends.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    say(&format!("there: {}; back: {}", told(&there), told(&back)))
}

fn told(counts: &Counts) -> String {
    let [passed, lost, refused] = counts.read();
    format!("{passed} packets passed, {lost} were lost, {refused} found the queue full")
}

fn say(line: &str) -> Result<(), String> {
    let mut out = io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}
