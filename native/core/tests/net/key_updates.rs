//! KeyUpdate, with openssl as the other side: it changes its keys, asks for ours, and goes on understanding us.

use crate::support::{Desk, LONG, Outcome, Pki};
use pvferry_core::net::{Duplex, TlsStream};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

/// openssl takes a line of one letter for a command only when it is a read of its own.
fn say(stdin: &mut ChildStdin, line: &str) -> Outcome {
    std::thread::sleep(Duration::from_millis(150));
    stdin.write_all(line.as_bytes())?;
    stdin.flush()?;
    Ok(())
}

fn expect(stream: &TlsStream, words: &str) -> Outcome {
    let mut heard = vec![0_u8; words.len()];
    let mut filled = 0;
    while filled < heard.len() {
        match stream.read(&mut heard[filled..], LONG)? {
            0 => break,
            count => filled += count,
        }
    }
    assert_eq!(String::from_utf8_lossy(&heard), words);
    Ok(())
}

#[test]
fn openssl_changes_keys_and_asks_for_ours() -> Outcome {
    let pki = Pki::get()?.on_disk()?;
    let desk = Desk::open(LONG, 8)?;
    let mut openssl = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", desk.port()), "-alpn", "pvferry-control/1"])
        .args(["-CAfile", "ca.crt", "-key", "leaf.key", "-cert", "source.crt", "-msg"])
        .current_dir(pki.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut stdin = openssl.stdin.take().ok_or("no stdin")?;
    let stdout = openssl.stdout.take().ok_or("no stdout")?;
    let stream = desk.control()?;
    say(&mut stdin, "first\n")?;
    expect(&stream, "first\n")?;
    for (command, words) in [("k\n", "after its new key\n"), ("K\n", "after both\n"), ("K\n", "once more\n")] {
        say(&mut stdin, command)?;
        say(&mut stdin, words)?;
        expect(&stream, words)?;
        stream.write_all(&[b"we heard ", words.as_bytes()], LONG)?;
    }
    stream.finish(LONG);
    let lines: Vec<String> = BufReader::new(stdout).lines().collect::<Result<_, _>>()?;
    let _ = openssl.wait();
    let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    assert_eq!(count("we heard after its new key"), 1, "{lines:#?}");
    assert_eq!(count("we heard once more"), 1, "{lines:#?}");
    let ours = lines.iter().filter(|line| line.starts_with("<<<") && line.contains("KeyUpdate")).count();
    assert_eq!(ours, 2, "{lines:#?}");
    Ok(())
}
