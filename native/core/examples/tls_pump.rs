//! Measures one lane over loopback: `cargo run --release --example tls_pump -- [GiB] [write KiB] [read KiB]`.
//! Not shipped. Needs certificates made by openssl, which it makes itself in a temporary folder.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring tool for the terminal")]

use pvferry_core::net::{Credentials, Duplex, IdentityTexts, Listener, ListenerOptions, TlsStream, connect_control};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).flat_map(|a| a.parse()).collect();
    let gib = arguments.first().copied().unwrap_or(4);
    let write = arguments.get(1).copied().unwrap_or(512) << 10;
    let read = arguments.get(2).copied().unwrap_or(512) << 10;
    let dir = tempfile::tempdir().unwrap();
    make_certificates(dir.path());
    let (near, far) = pair(dir.path());
    let total = gib << 30;
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let header = [0_u8; 32];
            let block = vec![0xa5_u8; write];
            let mut left = total;
            while left > 0 {
                let size = left.min(write);
                near.write_all(&[&header, &block[..size]], LONG).unwrap();
                left -= size;
            }
            near.finish(LONG);
        });
        let mut buf = vec![0_u8; read];
        let (mut got, mut reads) = (0, 0);
        loop {
            let count = far.read(&mut buf, LONG).unwrap();
            if count == 0 {
                break;
            }
            got += count;
            reads += 1;
        }
        far.finish(LONG);
        println!("read {got} bytes, {} on average", got / reads);
    });
    let gigabytes = total as f64 / 1e9;
    println!(
        "{:.2} GB/s, {:.2} CPU s/GB",
        gigabytes / begun.elapsed().as_secs_f64(),
        (cpu_seconds() - cpu) / gigabytes
    );
}

fn pair(dir: &Path) -> (TlsStream, TlsStream) {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let listener = Listener::open(
        &ListenerOptions {
            host: "127.0.0.1".to_owned(),
            port: Some(0),
            handshake_timeout: LONG,
            max_unauthenticated: 8,
            max_unbound: 8,
        },
        Arc::new(credentials(dir, "target", "source")),
        Box::new(move |stream| drop(sender.lock().unwrap().send(stream))),
    )
    .unwrap();
    let fd = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
    let own = credentials(dir, "source", "target");
    let near = connect_control(fd, &own, None, LONG).unwrap();
    (near, receiver.recv().unwrap())
}

fn credentials(dir: &Path, own: &str, peer: &str) -> Credentials {
    let read = |name: String| fs::read_to_string(dir.join(name)).unwrap();
    Credentials::new(&IdentityTexts {
        ca: read("ca.crt".to_owned()),
        certificate: read(format!("{own}.crt")),
        key: read(format!("{own}.key")),
        peer_uri: format!("pvferry://bench/{peer}"),
    })
    .unwrap()
}

fn make_certificates(dir: &Path) {
    let run = |text: &str| {
        let arguments = text.split_whitespace();
        let mut openssl = Command::new("openssl");
        assert!(openssl.args(arguments).current_dir(dir).output().unwrap().status.success());
    };
    run(
        "req -x509 -newkey rsa:3072 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -addext keyUsage=critical,keyCertSign",
    );
    for role in ["source", "target"] {
        let extensions = format!("extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:pvferry://bench/{role}\n");
        fs::write(dir.join("extensions"), extensions).unwrap();
        run(&format!("req -newkey rsa:3072 -nodes -keyout {role}.key -out {role}.csr -subj /CN={role}"));
        run(&format!(
            "x509 -req -in {role}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {role}.crt -extfile extensions"
        ));
    }
}

/// User and system time of this process, from /proc/self/stat (in ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}
