//! The lock: one process at a time, and whatever ends the process ends the lock.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pvferry_core::error::ErrorKind;
use pvferry_core::fs::open::Opener;
use pvferry_core::target::journal::lock::{Locked, held_by, take};

const HOLD: &str = "PVFERRY_TEST_HOLD_LOCK";

fn try_take(volume: &Path) -> Result<Locked, pvferry_core::error::CoreError> {
    take(&Opener::new(false), File::open(volume).unwrap().as_fd(), volume)
}

fn holder_of(volume: &Path) -> Option<String> {
    held_by(&Opener::new(false), File::open(volume).unwrap().as_fd())
}

/// Not a test by itself: the other process of the tests below.
#[test]
fn hold() {
    let Some(volume) = std::env::var_os(HOLD) else { return };
    let _locked = try_take(Path::new(&volume)).unwrap();
    writeln!(std::io::stderr(), "holding").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

fn holder(volume: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lock::hold", "--nocapture"])
        .env(HOLD, volume)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.into_iter().any(|line| line.contains("holding")), "it never held the lock");
    child
}

#[test]
fn another_process_is_refused_and_told_who_holds_it_until_that_one_is_killed() {
    let volume = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    assert_eq!(holder_of(volume.path()), None);
    let mut child = holder(volume.path());
    let expected = format!("process {} on ", child.id());
    assert!(holder_of(volume.path()).unwrap().starts_with(&expected));
    let error = try_take(volume.path()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.message.contains("in use by another pvferry agent") && error.message.contains(&expected), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(holder_of(volume.path()), None);
    try_take(volume.path()).unwrap();
}

#[test]
fn two_in_one_process_exclude_each_other_and_the_second_waits_for_a_first_that_is_ending() {
    let volume = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let first = try_take(volume.path()).unwrap();
    assert_eq!(try_take(volume.path()).unwrap_err().kind, ErrorKind::Busy);
    let started = Instant::now();
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(first);
    });
    try_take(volume.path()).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(290), "it did not wait");
    ending.join().unwrap();
}

/// An agent that is done removes the folder before it lets go; who had opened the lock by then must not believe in it.
#[test]
fn a_lock_on_a_folder_that_is_gone_is_none() {
    let volume = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let file = volume.path().join(".pvferry/lock");
    let come_and_go = || {
        for _ in 0..1_000 {
            let Ok(locked) = try_take(volume.path()) else { continue };
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two hold the lock");
            taken.fetch_add(1, Ordering::SeqCst);
            assert!(file.exists(), "the lock is on a file that is gone");
            // From the removal on, the next one may be in a folder of its own.
            inside.fetch_sub(1, Ordering::SeqCst);
            fs::remove_file(&file).unwrap();
            let _ = fs::remove_dir(file.parent().unwrap());
            drop(locked);
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(come_and_go))));
    assert!(taken.into_inner() > 400);
}

#[test]
fn neither_a_link_nor_a_file_in_the_folders_place_is_followed() {
    let volume = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::os::unix::fs::symlink("/tmp", volume.path().join(".pvferry")).unwrap();
    assert_eq!(try_take(volume.path()).unwrap_err().kind, ErrorKind::Volume);
    fs::remove_file(volume.path().join(".pvferry")).unwrap();
    fs::write(volume.path().join(".pvferry"), "").unwrap();
    assert_eq!(try_take(volume.path()).unwrap_err().kind, ErrorKind::Volume);
}
