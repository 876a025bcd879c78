//! Certificates made by openssl for one test run, and a listener that records what reaches it.

use pvferry_core::error::CoreError;
use pvferry_core::net::{
    Channel, Credentials, Duplex, IdentityTexts, Listener, ListenerCounts, ListenerOptions, SessionSink, TlsStream,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

pub(crate) const LONG: Duration = Duration::from_secs(20);

/// Index and lanes that a desk lets wait for their BIND: no test but that of this bound has more.
pub(crate) const MAX_UNBOUND: usize = 3;
pub(crate) const SECRET: [u8; 32] = [0x5a; 32];

/// Two CAs (`ca`, `other-ca`) and leaves named after what is special about them; production's key size. Kept in memory,
/// since nothing is dropped that lives as long as the process.
pub(crate) struct Pki {
    files: BTreeMap<String, String>,
}

/// Where openssl makes them.
struct Workshop {
    dir: tempfile::TempDir,
}

const VALID: (&str, &str) = ("20200101000000Z", "20990101000000Z");
const PAST: (&str, &str) = ("20200101000000Z", "20200201000000Z");
const FUTURE: (&str, &str) = ("20980101000000Z", "20990101000000Z");
const BOTH: &str = "serverAuth,clientAuth";

impl Pki {
    pub(crate) fn get() -> Result<&'static Self, Box<dyn Error>> {
        static SHARED: OnceLock<Result<Pki, String>> = OnceLock::new();
        SHARED.get_or_init(|| Self::make().map_err(|e| e.to_string())).as_ref().map_err(|e| e.as_str().into())
    }

    fn make() -> Result<Self, Box<dyn Error>> {
        let pki = Workshop { dir: tempfile::tempdir()? };
        for ca in ["ca", "other-ca"] {
            pki.openssl(&format!(
                "req -x509 -newkey rsa:3072 -nodes -sha256 -keyout {ca}.key -out {ca}.crt -days 30 -subj /CN={ca} \
                 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
            ))?;
        }
        pki.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out leaf.key")?;
        pki.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out stray.key")?;
        pki.openssl("req -new -key leaf.key -subj /CN=pvferry -out leaf.csr")?;
        let leaves = [
            ("source", "ca", VALID, "URI:pvferry://t1/source", BOTH),
            ("target", "ca", VALID, "URI:pvferry://t1/target", BOTH),
            ("foreign-source", "ca", VALID, "URI:pvferry://t2/source", BOTH),
            ("foreign-target", "ca", VALID, "URI:pvferry://t2/target", BOTH),
            ("twofold", "ca", VALID, "URI:pvferry://t1/source,URI:pvferry://t1/target", BOTH),
            ("nameless", "ca", VALID, "DNS:localhost", BOTH),
            ("client-only", "ca", VALID, "URI:pvferry://t1/target", "clientAuth"),
            ("expired-source", "ca", PAST, "URI:pvferry://t1/source", BOTH),
            ("expired-target", "ca", PAST, "URI:pvferry://t1/target", BOTH),
            ("early-source", "ca", FUTURE, "URI:pvferry://t1/source", BOTH),
            ("other-source", "other-ca", VALID, "URI:pvferry://t1/source", BOTH),
            ("other-target", "other-ca", VALID, "URI:pvferry://t1/target", BOTH),
        ];
        for (name, ca, (start, end), san, usage) in leaves {
            pki.leaf(name, ca, start, end, san, usage)?;
        }
        pki.files().map(|files| Self { files })
    }

    /// The files of a certificate folder, for openssl to read; gone when dropped.
    pub(crate) fn on_disk(&self) -> Result<tempfile::TempDir, Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        for (name, text) in &self.files {
            fs::write(dir.path().join(name), text)?;
        }
        Ok(dir)
    }

    pub(crate) fn read(&self, file: &str) -> Result<String, Box<dyn Error>> {
        self.files.get(file).cloned().ok_or_else(|| format!("there is no {file}").into())
    }

    /// `leaf` expecting a peer that bears `peer_uri`; `ca` is the one trusted.
    pub(crate) fn texts(&self, leaf: &str, ca: &str, peer_uri: &str) -> Result<IdentityTexts, Box<dyn Error>> {
        Ok(IdentityTexts {
            ca: self.read(&format!("{ca}.crt"))?,
            certificate: self.read(&format!("{leaf}.crt"))?,
            key: self.read("leaf.key")?,
            peer_uri: peer_uri.to_owned(),
        })
    }

    pub(crate) fn source(&self) -> Result<Credentials, Box<dyn Error>> {
        Ok(Credentials::new(&self.texts("source", "ca", "pvferry://t1/target")?)?)
    }

    pub(crate) fn target(&self) -> Result<Credentials, Box<dyn Error>> {
        Ok(Credentials::new(&self.texts("target", "ca", "pvferry://t1/source")?)?)
    }

    /// openssl as a client; what it prints on both outputs. Ends when the server closes.
    pub(crate) fn s_client(&self, port: u16, more: &str) -> Result<String, Box<dyn Error>> {
        let dir = self.on_disk()?;
        let mut command = Command::new("timeout");
        command
            .args(["20", "openssl", "s_client", "-connect"])
            .arg(format!("127.0.0.1:{port}"))
            .args(more.split_whitespace())
            .current_dir(dir.path())
            .stdin(Stdio::null());
        Ok(both(&command.output()?))
    }
}

impl Workshop {
    /// Certificates and keys.
    fn files(&self) -> Result<BTreeMap<String, String>, Box<dyn Error>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.dir.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "crt" || kind == "key") {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.insert(name, fs::read_to_string(&path)?);
            }
        }
        Ok(files)
    }

    fn leaf(&self, name: &str, ca: &str, start: &str, end: &str, san: &str, usage: &str) -> Outcome {
        let db = self.dir.path().join(format!("{name}.db"));
        fs::create_dir(&db)?;
        fs::write(db.join("index"), "")?;
        let config = format!(
            "[ca]\ndefault_ca=c\n[c]\ndatabase={name}.db/index\nnew_certs_dir={name}.db\nrand_serial=yes\n\
             default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n[v]\n\
             basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\n\
             extendedKeyUsage={usage}\nsubjectAltName={san}\n"
        );
        fs::write(self.dir.path().join(format!("{name}.cnf")), config)?;
        self.openssl(&format!(
            "ca -batch -notext -config {name}.cnf -extensions v -cert {ca}.crt -keyfile {ca}.key \
             -startdate {start} -enddate {end} -in leaf.csr -out {name}.crt"
        ))
    }

    fn openssl(&self, arguments: &str) -> Outcome {
        let output =
            Command::new("openssl").args(arguments.split_whitespace()).current_dir(self.dir.path()).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

pub(crate) fn both(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A listener as the target runs it. Its control connections are handed out, its session takes every lane but 13.
pub(crate) struct Desk {
    pub(crate) listener: Listener,
    controls: Mutex<Receiver<TlsStream>>,
    pub(crate) session: Arc<Session>,
}

pub(crate) struct Session {
    sender: Mutex<Sender<(Channel, Arc<dyn Duplex>)>>,
    bound: Mutex<Receiver<(Channel, Arc<dyn Duplex>)>>,
}

impl SessionSink for Session {
    fn bind(&self, channel: Channel, stream: Arc<dyn Duplex>) -> Result<(), String> {
        if channel == Channel::Lane(13) {
            return Err("Lane 13 is not wanted.".to_owned());
        }
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send((channel, stream)).map_err(|e| e.to_string())
    }
}

impl Session {
    pub(crate) fn next(&self) -> Result<(Channel, Arc<dyn Duplex>), Box<dyn Error>> {
        let bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(bound.recv_timeout(LONG)?)
    }
}

impl Desk {
    pub(crate) fn open(timeout: Duration, places: usize) -> Result<Self, Box<dyn Error>> {
        Self::open_at("127.0.0.1", timeout, places)
    }

    pub(crate) fn open_at(host: &str, timeout: Duration, places: usize) -> Result<Self, Box<dyn Error>> {
        let credentials = Pki::get()?.target()?;
        Ok(Self::start(host, 0, timeout, places, credentials)?)
    }

    /// The listener's own error, for those who expect one.
    pub(crate) fn open_at_port(host: &str, port: u16) -> Result<Self, CoreError> {
        let credentials = Pki::get().and_then(Pki::target).map_err(|error| CoreError::bug(error.to_string()))?;
        Self::start(host, port, LONG, 8, credentials)
    }

    fn start(
        host: &str,
        port: u16,
        handshake_timeout: Duration,
        max_unauthenticated: usize,
        credentials: Credentials,
    ) -> Result<Self, CoreError> {
        let (to_controls, controls) = channel();
        let (sender, bound) = channel();
        let to_controls = Mutex::new(to_controls);
        let options = ListenerOptions {
            host: host.to_owned(),
            port: Some(port),
            handshake_timeout,
            max_unauthenticated,
            max_unbound: MAX_UNBOUND,
        };
        let hand_out = move |stream| {
            let controls = to_controls.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = controls.send(stream);
        };
        Ok(Self {
            listener: Listener::open(&options, Arc::new(credentials), Box::new(hand_out))?,
            controls: Mutex::new(controls),
            session: Arc::new(Session { sender: Mutex::new(sender), bound: Mutex::new(bound) }),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.port()
    }

    pub(crate) fn control(&self) -> Result<TlsStream, Box<dyn Error>> {
        let controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(controls.recv_timeout(LONG)?)
    }

    /// Waits until the counters are as `expected`; says how they are if they never get there.
    pub(crate) fn expect_counts(&self, expected: ListenerCounts) -> Outcome {
        let until = Instant::now() + LONG;
        while self.listener.counts() != expected {
            if Instant::now() > until {
                let found = self.listener.counts();
                return Err(format!("expected {expected:?}, found {found:?}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The proof that the listener still does its work: a real connection, both ways.
    pub(crate) fn expect_service(&self) -> Outcome {
        let client = dial(self.port(), &Pki::get()?.source()?)?;
        let server = self.control()?;
        client.write_all(&[b"still there?"], LONG)?;
        let mut buf = [0_u8; 64];
        let count = server.read(&mut buf, LONG)?;
        if &buf[..count] == b"still there?" {
            return Ok(());
        }
        Err("the listener carries wrong bytes".into())
    }
}

pub(crate) fn tcp(port: u16) -> Result<OwnedFd, Box<dyn Error>> {
    Ok(TcpStream::connect(("127.0.0.1", port))?.into())
}

pub(crate) fn dial(port: u16, credentials: &Credentials) -> Result<TlsStream, Box<dyn Error>> {
    let fd = tcp(port)?;
    Ok(pvferry_core::net::connect_control(fd, credentials, None, LONG)?)
}

/// The error that a test expects; an unexpected success is one for the test.
pub(crate) fn failure<T>(result: Result<T, impl Into<CoreError>>) -> Result<CoreError, Box<dyn Error>> {
    match result {
        Ok(_) => Err("this should have failed".into()),
        Err(error) => Ok(error.into()),
    }
}

#[track_caller]
pub(crate) fn assert_says(text: &str, words: &str) {
    assert!(text.contains(words), "expected {words:?} in: {text}");
}
