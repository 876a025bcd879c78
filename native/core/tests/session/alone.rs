//! A test in a process of its own, so that what it takes of memory can be told.

use std::process::Command;

const ALONE: &str = "PVFERRY_TEST_ALONE";

/// Runs `body` in a process in which nothing else runs, whose memory then never held more than `limit` MiB.
#[track_caller]
pub(crate) fn within_mebibytes(limit: u64, test: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        body();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < limit * 1_024, "at most {limit} MiB were to be used; it was {} KiB", peak);
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
}
