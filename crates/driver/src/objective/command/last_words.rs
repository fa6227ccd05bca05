//! The last words of a program: the line that says why it failed, most often.
//!
//! Central type: [`LastWords`]. stderr is heard on a thread of its own, so that what a program said just before it ended
//! may still be on its way when its end is seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest wait for the last words of a program that has ended.
const SETTLE: Duration = Duration::from_millis(300);
/// Characters of a line that are kept.
const LONGEST: usize = 200;
/// Begins the last words in a reason: what stands before it is the kind of the failure.
pub const LAST_WORDS: &str = "; its last words: ";

/// Takes a line.
type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// The last line that a program said which was no answer.
#[derive(Clone, Default)]
pub struct LastWords(Arc<Mutex<String>>);

impl LastWords {
    /// What notes each line that goes to `log`, and the log to be given to the program.
    pub fn before(log: Log) -> (Self, Log) {
        let words = Self::default();
        let heard = words.clone();
        let noted = move |line: &str| {
            heard.note(line);
            log(line);
        };
        (words, Arc::new(noted))
    }

    /// Takes note of a line.
    pub fn note(&self, line: &str) {
        if !line.trim().is_empty() {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            *last = line.trim().chars().take(LONGEST).collect();
        }
    }

    /// To be put behind a reason, once the program has ended; empty where it said nothing.
    pub fn told(&self) -> String {
        let deadline = Instant::now() + SETTLE;
        while Arc::strong_count(&self.0) > 1 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_str() {
            "" => String::new(),
            last => format!("{LAST_WORDS}{last}"),
        }
    }
}
