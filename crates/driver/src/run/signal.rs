//! SIGINT and SIGTERM ask a run to stop; a second one ends it at once; SIGHUP is passed over.

use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::StopFlag;
use crate::exit::Failure;

/// Longest a run may take to come to an end after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Within this time after the first signal another is the same wish: where a whole process group is signalled a worker
/// gets its own and the one that its parent passes on.
const ONE_WISH: Duration = Duration::from_millis(400);

/// Watches for signals on a thread of its own until the process ends. Everything that counts is on disk
/// at any moment, so ending the process loses only the evaluation under way.
///
/// # Errors
/// When the system refuses a handler.
pub fn watch_signals(stop: &StopFlag) -> Result<(), Failure> {
    watch_signals_within(stop, PATIENCE)
}

/// The same, where coming to an end may take `patience`.
///
/// # Errors
/// As [`watch_signals`].
pub fn watch_signals_within(stop: &StopFlag, patience: Duration) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::unexpected("watching for signals", error))?;
    let stop = stop.clone();
    thread::spawn(move || {
        let mut first = None;
        for signal in signals.forever() {
            // a lost terminal does not end a run: it goes on into log.txt
            if signal == SIGHUP {
                continue;
            }
            let asked = first.get_or_insert_with(Instant::now).elapsed();
            if !stop.ask(signal) {
                if asked < ONE_WISH {
                    continue;
                }
                std::process::exit(128 + signal);
            }
            thread::spawn(move || {
                thread::sleep(patience);
                std::process::exit(128 + signal);
            });
        }
    });
    Ok(())
}
