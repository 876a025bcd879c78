//! Who gets in: openssl's own client and our dialler against our listener, and our dialler against foreign servers.

use crate::support::{self, Desk, LONG, Outcome, Pki, assert_says, dial, failure};
use pvferry_core::error::ErrorKind;
use pvferry_core::net::{Credentials, Duplex, ListenerCounts};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const HALF: Duration = Duration::from_millis(500);

fn with(leaf: &str) -> String {
    format!("-quiet -alpn pvferry-control/1 -CAfile ca.crt -key leaf.key -cert {leaf}.crt")
}

#[test]
fn openssl_is_served_over_tls_1_3_only() -> Outcome {
    let pki = Pki::get()?;
    let desk = Desk::open(LONG, 8)?;
    let server = std::thread::spawn({
        let port = desk.port();
        move || {
            pki.s_client(port, "-ign_eof -alpn pvferry-control/1 -CAfile ca.crt -key leaf.key -cert source.crt")
                .map_err(|e| e.to_string())
        }
    });
    let stream = desk.control()?;
    stream.write_all(&[b"good ", b"morning"], LONG)?;
    stream.finish(LONG);
    let said = server.join().map_err(|_| "thread")??;
    assert_says(&said, "good morning");
    assert_says(&said, "TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256");
    assert_says(&said, "ALPN protocol: pvferry-control/1");
    assert_says(&said, "Verify return code: 0 (ok)");
    assert!(!said.contains("Session Ticket"), "{said}");
    let old = pki.s_client(desk.port(), &format!("{} -tls1_2", with("source")))?;
    assert_says(&old, "alert protocol version");
    desk.expect_counts(ListenerCounts {
        accepted: 2,
        authenticated: 1,
        handshakes_failed: 1,
        ..ListenerCounts::default()
    })
}

#[test]
fn strangers_get_an_alert_and_false_friends_a_sentence() -> Outcome {
    let pki = Pki::get()?;
    let desk = Desk::open(LONG, 8)?;
    let no_certificate = "-quiet -alpn pvferry-control/1 -CAfile ca.crt".to_owned();
    let cases = [
        (no_certificate, "alert certificate required"),
        (with("other-source"), "alert unknown ca"),
        (with("expired-source"), "alert certificate expired"),
        (with("source").replace("control/1", "control/9"), "alert no application protocol"),
        (with("target"), "role target, but source was expected"),
        (with("foreign-source"), "belongs to transfer t2, but this is transfer t1"),
        (with("twofold"), "2 pvferry:// names where exactly one is allowed"),
        (with("nameless"), "bears no pvferry:// name; pvferry://t1/source was expected"),
        (with("source").replace("-alpn pvferry-control/1", ""), "named no protocol (ALPN)"),
    ];
    for (arguments, words) in &cases {
        assert_says(&pki.s_client(desk.port(), arguments)?, words);
    }
    desk.expect_counts(ListenerCounts { accepted: 9, handshakes_failed: 4, refused: 5, ..ListenerCounts::default() })?;
    desk.expect_service()
}

#[test]
fn a_refusal_on_control_is_one_frame_that_the_other_side_can_parse() -> Outcome {
    let desk = Desk::open(LONG, 8)?;
    let texts = Pki::get()?.texts("foreign-source", "ca", "pvferry://t1/target")?;
    let stream = dial(desk.port(), &Credentials::new(&texts)?)?;
    let mut bytes = Vec::new();
    let mut buf = [0_u8; 512];
    loop {
        let count = stream.read(&mut buf, LONG)?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&buf[..count]);
    }
    let (length, body) = bytes.split_at(4);
    assert_eq!(usize::try_from(u32::from_be_bytes(length.try_into()?))?, body.len());
    let frame: serde_json::Value = serde_json::from_slice(body)?;
    assert_eq!(frame["type"], "refused");
    assert_eq!(frame["code"], 22);
    assert_says(&frame["message"].to_string(), "transfer t2");
    assert!(frame["next"].is_string());
    Ok(())
}

/// In TLS 1.3 the client is through before the server has looked at its certificate.
#[test]
fn a_rejected_dialler_learns_why_from_its_first_read_or_write() -> Outcome {
    let pki = Pki::get()?;
    let desk = Desk::open(LONG, 8)?;
    // Trusts the listener's CA but shows another one's leaf; `Credentials` itself would refuse such a pair.
    let mut texts = pki.texts("other-source", "other-ca", "pvferry://t1/target")?;
    texts.ca += &pki.read("ca.crt")?;
    let credentials = Credentials::new(&texts)?;
    let reading = dial(desk.port(), &credentials)?;
    let error = failure(reading.read(&mut [0_u8; 16], LONG))?;
    assert_eq!(error.kind, ErrorKind::Untrusted);
    assert_says(&error.message, "issued by another CA than the one trusted there (TLS alert unknown_ca)");
    let writing = dial(desk.port(), &credentials)?;
    std::thread::sleep(HALF);
    let mut last = writing.write_all(&[b"hello"], LONG);
    while last.is_ok() {
        last = writing.write_all(&[&[0_u8; 4096]], LONG);
    }
    let error = failure(last)?;
    assert_eq!((error.kind, error.message.contains("unknown_ca")), (ErrorKind::Untrusted, true), "{error}");
    Ok(())
}

#[test]
fn the_dialler_refuses_wrong_listeners() -> Outcome {
    let pki = Pki::get()?;
    let desk = Desk::open(LONG, 8)?;
    let expecting = |peer: &str| -> Result<Credentials, Box<dyn std::error::Error>> {
        Ok(Credentials::new(&pki.texts("source", "ca", peer)?)?)
    };
    let cases = [
        ("pvferry://t1/source", "role target, but source was expected"),
        ("pvferry://t7/target", "belongs to transfer t1, but this is transfer t7"),
    ];
    for (peer, words) in cases {
        let credentials = expecting(peer)?;
        let fd = support::tcp(desk.port())?;
        let error = failure(pvferry_core::net::connect_control(fd, &credentials, None, LONG))?;
        assert_eq!(error.kind, ErrorKind::Untrusted);
        assert_says(&error.message, words);
        // The other side hears it too, as a frame.
        let mut buf = [0_u8; 1024];
        let count = desk.control()?.read(&mut buf, LONG)?;
        assert_says(&String::from_utf8_lossy(&buf[4..count]), words);
    }
    let stranger = Credentials::new(&pki.texts("other-source", "other-ca", "pvferry://t1/target")?)?;
    let fd = support::tcp(desk.port())?;
    let error = failure(pvferry_core::net::connect_control(fd, &stranger, None, LONG))?;
    assert_eq!(error.kind, ErrorKind::Untrusted);
    assert_says(&error.message, "was issued by another CA than the one trusted here");
    Ok(())
}

#[test]
fn unusable_identities_are_named_before_dialling() -> Outcome {
    let pki = Pki::get()?;
    let peer = "pvferry://t1/target";
    let cases = [
        ("expired-source", "ca", "has expired"),
        ("early-source", "ca", "becomes valid only in"),
        ("source", "other-ca", "was not issued by the CA certificate beside it"),
        ("client-only", "ca", "is not made for both serverAuth and clientAuth"),
    ];
    for (leaf, ca, words) in cases {
        let error = failure(Credentials::new(&pki.texts(leaf, ca, peer)?))?;
        assert_eq!(error.kind, ErrorKind::Untrusted);
        assert_says(&error.message, words);
    }
    let mut stray = pki.texts("source", "ca", peer)?;
    stray.key = pki.read("stray.key")?;
    assert_says(&failure(Credentials::new(&stray))?.message, "key does not belong to its certificate");
    stray.key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n".to_owned();
    assert_says(&failure(Credentials::new(&stray))?.message, "passphrase");
    stray.key = "nothing".to_owned();
    assert_says(&failure(Credentials::new(&stray))?.message, "is not a PEM text that holds a key");
    stray.certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    stray.key = pki.read("leaf.key")?;
    assert_says(&failure(Credentials::new(&stray))?.message, "cannot be read as an X.509");
    Ok(())
}

/// Something else than a pvferry listener on the port: one accepted connection, answered with `answer`.
fn impostor(answer: &'static [u8], stay: Duration) -> Result<u16, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0_u8; 4096]);
            let _ = stream.write_all(answer);
            std::thread::sleep(stay);
        }
    });
    Ok(port)
}

#[test]
fn other_services_on_the_port_are_told_apart() -> Outcome {
    let cases: [(&[u8], ErrorKind, &str); 5] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ErrorKind::Protocol, "does not speak TLS answers at 127.0.0.1"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ErrorKind::Protocol, "an SSH server"),
        (b"\x00\x01\x02\x03 nonsense nonsense", ErrorKind::Protocol, "does not speak TLS answers at"),
        (b"\x15\x03\x03\x00\x02\x02\x46", ErrorKind::Protocol, "does not speak TLS 1.3 (TLS alert protocol_version)"),
        (b"", ErrorKind::Network, "closed the connection during the TLS handshake"),
    ];
    let credentials = Pki::get()?.source()?;
    for (answer, kind, words) in cases {
        let fd = support::tcp(impostor(answer, Duration::ZERO)?)?;
        let error = failure(pvferry_core::net::connect_control(fd, &credentials, None, LONG))?;
        assert_eq!(error.kind, kind, "{error}");
        assert_says(&error.message, words);
    }
    Ok(())
}

#[test]
fn a_silent_listener_is_given_up_in_time() -> Outcome {
    let fd = support::tcp(impostor(b"", LONG)?)?;
    let begun = Instant::now();
    let error = failure(pvferry_core::net::connect_control(fd, &Pki::get()?.source()?, None, HALF))?;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(error.kind, ErrorKind::Network);
    assert_says(&error.message, "did not complete the TLS handshake within 1 second");
    Ok(())
}

/// openssl's server in front of our dialler, its port, and the folder that it reads.
struct Foreign(std::process::Child, u16, #[expect(dead_code, reason = "kept as long as the server")] tempfile::TempDir);

impl Foreign {
    fn start(more: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let pki = Pki::get()?.on_disk()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("openssl")
            .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-key", "leaf.key"])
            .args(more.split_whitespace())
            .current_dir(pki.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let until = Instant::now() + LONG;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self(child, port, pki))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn openssl_as_listener_is_judged_like_our_own() -> Outcome {
    let credentials = Pki::get()?.source()?;
    let cases = [
        ("-cert target.crt -tls1_2", "does not speak TLS 1.3"),
        ("-cert expired-target.crt", "has expired"),
        ("-cert client-only.crt", "is not made for this end of a TLS connection"),
        ("-cert foreign-target.crt -alpn pvferry-control/1", "belongs to transfer t2"),
        ("-cert target.crt -alpn h2", "not this version of pvferry's protocol"),
        ("-cert target.crt", "none of pvferry's protocols"),
    ];
    for (arguments, words) in cases {
        let server = Foreign::start(arguments)?;
        let fd = support::tcp(server.1)?;
        let error = failure(pvferry_core::net::connect_control(fd, &credentials, None, LONG))?;
        assert_says(&error.message, words);
    }
    let server = Foreign::start("-cert target.crt -alpn pvferry-control/1 -Verify 1 -CAfile ca.crt")?;
    let stream = dial(server.1, &credentials)?;
    stream.write_all(&[b"into openssl"], LONG)?;
    stream.finish(HALF);
    Ok(())
}
