//! `bo stop`: ends a run or a training cleanly from another terminal.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use super::result::print;
use crate::exit::Failure;
use crate::quantity::typed;
use crate::record::{Holder, Lock, holds_run, holds_training};
use crate::run::StopRequest;

/// Longest wait for a run to end; it has ten seconds of its own.
const PATIENCE: Duration = Duration::from_secs(15);

/// Flags of `bo stop`.
#[derive(Args)]
pub struct StopArgs {
    /// The directory of a run or of a training
    run: PathBuf,
}

/// Asks the process that works there to save and end, and waits until it has.
///
/// # Errors
/// [`Failure::Elsewhere`] when it runs on another machine or in another container; [`Failure::Held`] when it does not end.
pub fn main(args: &StopArgs) -> Result<(), Failure> {
    let run = typed(&args.run);
    let training = holds_training(&args.run);
    let on = match training {
        true => format!("to go on: bo train edge --out {run} --resume"),
        false => format!("to go on: bo resume {run}"),
    };
    let Some(holder) = Lock::holder(&args.run) else {
        return match training || holds_run(&args.run) {
            true => print(&format!("nobody works on {run}; {on}"), false),
            false => Err(Failure::unusable(
                &args.run,
                "no run and no training here",
                "name the directory of one",
            )),
        };
    };
    let held = |holder: &Holder| Failure::Held {
        out: args.run.clone(),
        holder: holder.to_string(),
    };
    // elsewhere the same number is another process
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let (Some(pid), true) = (pid, holder.is_here()) else {
        return Err(Failure::Elsewhere {
            out: args.run.clone(),
            holder: holder.to_string(),
        });
    };
    let _request = StopRequest::place(&args.run);
    kill_process(pid, Signal::TERM)
        .map_err(|error| Failure::unexpected(format!("stopping process {}", holder.pid), error))?;
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if Lock::holder(&args.run).is_none() {
            return print(&format!("{run} is saved; {on}"), false);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(held(&holder))
}
