//! One CA and one leaf per role, made by openssl for one run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use pvferry_core::net::{Credentials, IdentityTexts};

struct Texts {
    ca: String,
    key: String,
    source: String,
    target: String,
}

fn texts() -> &'static Texts {
    static TEXTS: OnceLock<Texts> = OnceLock::new();
    TEXTS.get_or_init(make)
}

fn make() -> Texts {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    openssl(
        at,
        "req -x509 -newkey rsa:3072 -nodes -sha256 -keyout ca.key -out ca.crt -days 30 -subj /CN=ca \
         -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
    );
    openssl(at, "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out leaf.key");
    openssl(at, "req -new -key leaf.key -subj /CN=pvferry -out leaf.csr");
    for role in ["source", "target"] {
        let extensions = format!(
            "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n\
             subjectAltName=URI:pvferry://t1/{role}\n"
        );
        fs::write(at.join("leaf.cnf"), extensions).unwrap();
        let sign = "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -sha256 -extfile leaf.cnf";
        openssl(at, &format!("{sign} -out {role}.crt"));
    }
    let read = |name: &str| fs::read_to_string(at.join(name)).unwrap();
    Texts { ca: read("ca.crt"), key: read("leaf.key"), source: read("source.crt"), target: read("target.crt") }
}

fn openssl(at: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(at).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

fn credentials(certificate: &str, peer: &str) -> Credentials {
    let texts = texts();
    let identity = IdentityTexts {
        ca: texts.ca.clone(),
        certificate: certificate.to_owned(),
        key: texts.key.clone(),
        peer_uri: format!("pvferry://t1/{peer}"),
    };
    Credentials::new(&identity).unwrap()
}

pub(crate) fn source() -> Credentials {
    credentials(&texts().source, "target")
}

pub(crate) fn target() -> Credentials {
    credentials(&texts().target, "source")
}
