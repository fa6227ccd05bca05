//! Whether lines and checkpoints reach the disk: speed of fsync, space, rename.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Answer, Patient};
use crate::quantity::bytes;
use crate::record::replace;

/// Lines written.
const LINES: usize = 20;
/// Bytes of a line, as long as that of an evaluation.
const LINE: usize = 300;
/// Slower than this a line is felt.
const SLOW: Duration = Duration::from_millis(100);
/// Less room stops a run, and less is worth knowing.
const LEAST: u64 = 100 << 20;
const ENOUGH: u64 = 2 << 30;

pub fn check(patient: &Patient) -> Answer {
    let folder = patient
        .folder
        .join(format!(".bo-doctor-{}", std::process::id()));
    let tried = fs::create_dir_all(&folder).and_then(|()| measure(&folder));
    let _ = fs::remove_dir_all(&folder);
    let median = match tried {
        Ok(median) => median,
        Err(error) => {
            return Answer::bad(
                format!("{}: {error}", patient.folder.display()),
                "choose a folder that can be written: bo doctor --out DIR, bo run --out DIR",
            );
        }
    };
    let free = rustix::fs::statvfs(&patient.folder)
        .map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let found = format!(
        "a line is on disk in {:.1} ms (median of {LINES}), rename holds, {} free",
        median.as_secs_f64() * 1e3,
        bytes(free)
    );
    if free < LEAST {
        Answer::bad(found, "make room, or choose another disk with --out")
    } else if free < ENOUGH {
        Answer::note(
            found,
            "kept edge output may need more: --cache DIR on another disk, or less with --cache-mb",
        )
    } else if median > SLOW {
        Answer::note(
            found,
            "every evaluation waits for two such lines: --out on a local disk is faster",
        )
    } else {
        Answer::good(found)
    }
}

/// Median time until a line is on disk; then a file is replaced and read again.
fn measure(folder: &Path) -> std::io::Result<Duration> {
    let mut file = File::create(folder.join("lines"))?;
    let mut times = Vec::with_capacity(LINES);
    for _ in 0..LINES {
        let begun = Instant::now();
        file.write_all(&[b'x'; LINE])?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort();
    let path = folder.join("whole");
    for content in ["one", "two"] {
        replace(&path, content.as_bytes()).map_err(std::io::Error::other)?;
    }
    if fs::read(&path)? != b"two" {
        return Err(std::io::Error::other(
            "a renamed file does not hold what was written",
        ));
    }
    Ok(times[LINES / 2])
}
