//! `log.txt`: everything that was said, one line each, with the time.
//!
//! Bounded, for a program that says much must not fill the disk on which the run is: what is full becomes `log.old.txt`, in
//! place of the one before, and a new one begins: the last [`MOST`] bytes are there, twice as many at most.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::RecordError;
use super::lock::now;

/// Bytes after which a new file begins.
const MOST: u64 = 64 << 20;

/// The log of a run. Lines said before [`Log::attach`] wait for it. A log that cannot be written never
/// ends a run.
#[derive(Debug, Default)]
pub struct Log(Mutex<Target>);

#[derive(Debug, Default)]
struct Target {
    file: Option<Turning>,
    waiting: Vec<String>,
}

/// A file that begins anew once it is full. The worker's and its parent's hands write the same one.
#[derive(Debug)]
struct Turning {
    path: PathBuf,
    file: File,
    most: u64,
}

impl Log {
    /// Writes into `folder/log.txt` from now on.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn attach(&self, folder: &Path) -> std::result::Result<(), RecordError> {
        let path = folder.join("log.txt");
        let file = Turning::open(&path, MOST).map_err(RecordError::io(&path, "open"))?;
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        target.file = Some(file);
        for line in std::mem::take(&mut target.waiting) {
            target.write(&line);
        }
        Ok(())
    }

    /// Adds a line (or several).
    pub fn say(&self, text: &str) {
        let mut target = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            let line = stamped(line);
            if target.file.is_some() {
                target.write(&line);
            } else {
                target.waiting.push(line);
            }
        }
    }
}

impl Target {
    fn write(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            // a full disk shows where it matters: at the next line that must be durable
            let _ = file.write(line);
        }
    }
}

impl Turning {
    fn open(path: &Path, most: u64) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append(path)?,
            most,
        })
    }

    fn write(&mut self, line: &str) -> Result<()> {
        if self.file.metadata()?.len() + line.len() as u64 > self.most {
            self.turn()?;
        }
        self.file.write_all(line.as_bytes())
    }

    fn turn(&mut self) -> Result<()> {
        // another hand may have turned the page
        let own = self.file.metadata()?.ino();
        let there = std::fs::metadata(&self.path).is_ok_and(|there| there.ino() == own);
        if there {
            std::fs::rename(&self.path, self.path.with_file_name("log.old.txt"))?;
        }
        self.file = append(&self.path)?;
        if there {
            let what = "what was said before is in log.old.txt, as far back as it goes";
            self.file.write_all(stamped(what).as_bytes())?;
        }
        Ok(())
    }
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// A line with the time before it.
fn stamped(line: &str) -> String {
    format!("{} {line}\n", utc(now()))
}

/// Seconds since 1970 as `2026-01-31T23:59:59Z`.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days: years begin in March, so the leap day comes last
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_read_as_dates() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_798_761_599), "2026-12-31T23:59:59Z");
    }

    #[test]
    fn a_full_log_begins_anew_and_two_hands_turn_the_page_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.txt");
        let mut hands = [(); 2].map(|()| Turning::open(&path, 1000).unwrap());
        for number in 0..60 {
            let line = format!("line {number} {}\n", ".".repeat(80));
            hands[number % 2].write(&line).unwrap();
        }
        let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let both = text("log.old.txt") + &text("log.txt");
        assert!(both.len() <= 2 * 1100 + 200, "{} bytes", both.len());
        let last: Vec<&str> = both.lines().filter(|l| l.starts_with("line")).collect();
        // the last thousand bytes at least, in order and without a gap
        assert!(last.len() >= 11, "{last:?}");
        for (line, number) in last.iter().rev().zip((0..60).rev()) {
            assert!(line.starts_with(&format!("line {number} ")), "{both}");
        }
        assert!(text("log.txt").contains("log.old.txt"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn lines_said_early_are_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::default();
        log.say("early");
        log.attach(folder.path()).unwrap();
        log.say("late\nlater");
        let text = std::fs::read_to_string(folder.path().join("log.txt")).unwrap();
        let words: Vec<&str> = text
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(words, ["early", "late", "later"]);
    }
}
