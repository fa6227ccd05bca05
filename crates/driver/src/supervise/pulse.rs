//! Beats of steps that leave no trace in the run: opening what it works with, and replaying a record that may still be
//! refused. `heartbeat.json` would change the run, so they go to the parent through a few bytes of memory: a file without
//! a name, which the worker opens by its number in the parent.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::lineage::{PULSE, WATCHED_BY};

/// Bytes of a beat; one that is shorter is filled up with blanks.
const LENGTH: usize = 160;

/// Where a worker writes; none in a process that nobody watches.
static SINK: OnceLock<Option<File>> = OnceLock::new();

/// Steps of this process so far.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// What a worker does before its loop writes beats of its own.
#[derive(Clone, Copy, Debug)]
pub enum Step<'s> {
    /// It begins.
    Start,
    /// It opens what the run in `out` works with.
    Open {
        /// The run's folder.
        #[cfg_attr(
            not(debug_assertions),
            expect(dead_code, reason = "the faults of tests look there")
        )]
        out: &'s Path,
    },
    /// Of its images so many have been looked at.
    Look {
        /// So far.
        done: u64,
        /// In all.
        of: u64,
    },
    /// It puts the optimiser together.
    SetUp {
        /// Programs of constraints are asked.
        asks: bool,
    },
    /// It computes a recorded decision again.
    Replay {
        /// Of which iteration.
        iteration: u64,
        /// Programs of constraints are asked.
        asks: bool,
    },
}

impl Step<'_> {
    /// Whether it waits for a program that may take as long as it likes.
    fn waits(&self) -> bool {
        matches!(
            self,
            Self::SetUp { asks: true } | Self::Replay { asks: true, .. }
        )
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("while starting"),
            Self::Open { .. } => f.write_str("while opening what it works with"),
            Self::Look { done, of } => write!(f, "while looking at images, {done} of {of} done"),
            Self::SetUp { .. } => f.write_str("while setting up the optimiser"),
            Self::Replay { iteration, .. } => write!(f, "while replaying iteration {iteration}"),
        }
    }
}

/// Tells the parent, if there is one.
pub fn tell(step: &Step<'_>) {
    if let Some(file) = SINK.get_or_init(sink) {
        let number = STEPS.fetch_add(1, Relaxed) + 1;
        let mut line = format!("{number} {} {step}", u8::from(step.waits())).into_bytes();
        line.resize(LENGTH, b' ');
        // memory of the parent, which outlives this process
        let _ = file.write_all_at(&line, 0);
    }
}

/// The parent's file. Says so where it cannot be opened, as then nobody sees a hang before the loop begins.
fn sink() -> Option<File> {
    let (parent, number) = (std::env::var(WATCHED_BY).ok()?, std::env::var(PULSE).ok()?);
    let opened = OpenOptions::new()
        .write(true)
        .open(format!("/proc/{parent}/fd/{number}"));
    opened
        .inspect_err(|error| {
            let _ = writeln!(
                io::stderr(),
                "a hang before the first evaluation will not be seen: the parent cannot be told of steps ({error})"
            );
        })
        .ok()
}

/// The parent's end, for one worker.
pub struct Pulse(File);

/// The last step that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Which.
    pub number: u64,
    /// It waits for a program that may take as long as it likes.
    pub waits: bool,
    /// What it is, in words.
    pub place: String,
}

impl Pulse {
    /// Of a worker that is to be started.
    ///
    /// # Errors
    /// The system gives no memory for it.
    pub fn new() -> io::Result<Self> {
        let file = File::from(memfd_create("bo-pulse", MemfdFlags::CLOEXEC)?);
        file.set_len(LENGTH as u64)?;
        Ok(Self(file))
    }

    /// By what the worker knows it.
    pub fn number(&self) -> String {
        self.0.as_raw_fd().to_string()
    }

    /// None before the first.
    pub fn last(&self) -> Option<Beat> {
        let mut line = [0; LENGTH];
        self.0.read_exact_at(&mut line, 0).ok()?;
        let text = std::str::from_utf8(&line).ok()?;
        let mut words = text.trim_end().splitn(3, ' ');
        Some(Beat {
            number: words.next()?.parse().ok()?,
            waits: words.next()? == "1",
            place: words.next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_read_as_it_was_told() {
        let pulse = Pulse::new().unwrap();
        assert_eq!(pulse.last(), None);
        let step = Step::Replay {
            iteration: 12,
            asks: true,
        };
        let mut line = format!("7 {} {step}", u8::from(step.waits())).into_bytes();
        line.resize(LENGTH, b' ');
        pulse.0.write_all_at(&line, 0).unwrap();
        let beat = pulse.last().unwrap();
        assert_eq!((beat.number, beat.waits), (7, true));
        assert_eq!(beat.place, "while replaying iteration 12");
    }
}
