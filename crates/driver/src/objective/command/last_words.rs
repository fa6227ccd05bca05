//! The last words of a program: the line that says why it failed, most often.
//!
//! Central type: [`LastWords`]. stderr is heard on a thread of its own, so that what a program said just before it ended
//! may still be on its way when its end is seen.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for the last words of a program that has ended.
const SETTLE: Duration = Duration::from_millis(300);
/// Characters of a line that are kept.
const LONGEST: usize = 200;
/// Begins the last words in a reason: what stands before it is the kind of the failure.
pub const LAST_WORDS: &str = "; its last words: ";

/// Takes a line.
type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// The last line that a program said which was no answer.
#[derive(Default)]
pub struct LastWords {
    said: Arc<Mutex<String>>,
    /// Nothing is ever sent: it closes with the log that was given to the program.
    log_closed: Option<Receiver<()>>,
}

impl LastWords {
    /// What notes each line that goes to `log`, and the log to be given to the program.
    pub fn before(log: Log) -> (Self, Log) {
        let (open, log_closed) = channel::<()>();
        let said = Arc::new(Mutex::new(String::new()));
        let words = Self {
            said: said.clone(),
            log_closed: Some(log_closed),
        };
        let noted = move |line: &str| {
            let _open = &open;
            keep(&said, line);
            log(line);
        };
        (words, Arc::new(noted))
    }

    /// Takes note of a line.
    pub fn note(&self, line: &str) {
        keep(&self.said, line);
    }

    /// To be put behind a reason, once the program has ended; empty where it said nothing.
    pub fn told(&self) -> String {
        if let Some(log_closed) = &self.log_closed {
            // closed, or a child of the program still holds its stderr: what is there by then is what was said
            let _ = log_closed.recv_timeout(SETTLE);
        }
        let last = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_str() {
            "" => String::new(),
            last => format!("{LAST_WORDS}{last}"),
        }
    }
}

fn keep(said: &Mutex<String>, line: &str) {
    if !line.trim().is_empty() {
        let mut last = said.lock().unwrap_or_else(PoisonError::into_inner);
        *last = line.trim().chars().take(LONGEST).collect();
    }
}
