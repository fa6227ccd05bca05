//! `log.txt`: everything that was said, one line each, with the time.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::error::RecordError;
use super::lock::now;

/// The log of a run. Lines said before [`Log::attach`] wait for it. A log that cannot be written never
/// ends a run.
#[derive(Debug, Default)]
pub struct Log(Mutex<Target>);

#[derive(Debug, Default)]
struct Target {
    file: Option<File>,
    waiting: Vec<String>,
}

impl Log {
    /// Writes into `folder/log.txt` from now on.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn attach(&self, folder: &Path) -> Result<(), RecordError> {
        let path = folder.join("log.txt");
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(RecordError::io(&path, "open"))?;
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
            let line = format!("{} {line}\n", utc(now()));
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
            let _ = file.write_all(line.as_bytes());
        }
    }
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
