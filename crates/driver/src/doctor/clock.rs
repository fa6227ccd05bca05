//! Whether the clock goes evenly and agrees with that of the disk. Results never depend on it; records and leases do.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Answer, Patient};

/// How long it is watched.
const WATCHED: Duration = Duration::from_millis(200);
/// Most that the calendar's clock may gain or lose meanwhile.
const EVEN: Duration = Duration::from_millis(50);
/// 2025-01-01: a clock before it was never set.
const PAST: u64 = 1_735_689_600;
/// Most seconds between this clock and that of the disk.
const APART: u64 = 30;

pub fn check(patient: &Patient) -> Answer {
    let since = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    };
    let (before, begun) = (since(), Instant::now());
    std::thread::sleep(WATCHED);
    let gain = since().saturating_sub(before).abs_diff(begun.elapsed());
    if since().as_secs() < PAST {
        return Answer::note(
            "the clock was never set",
            "set it: records will carry wrong times",
        );
    }
    if gain > EVEN {
        let found = format!(
            "the clock jumped by {} ms in {} ms",
            gain.as_millis(),
            WATCHED.as_millis()
        );
        return Answer::note(
            found,
            "let it be kept by NTP: records will carry wrong times",
        );
    }
    match disk_apart(patient) {
        Some(apart) if apart > APART => Answer::note(
            format!("the disk's clock is {apart} s away from this machine's"),
            "set both by NTP: leases on a network file system compare them",
        ),
        _ => Answer::good("goes evenly, agrees with the disk's"),
    }
}

/// Seconds between this machine's clock and the time that the disk gives a new file.
fn disk_apart(patient: &Patient) -> Option<u64> {
    let path = patient
        .folder
        .join(format!(".bo-doctor-clock-{}", std::process::id()));
    std::fs::write(&path, b"x").ok()?;
    let written = std::fs::metadata(&path).and_then(|data| data.modified());
    let _ = std::fs::remove_file(&path);
    let written = written.ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(crate::record::now().abs_diff(written.as_secs()))
}
