//! `bo stop`: ends a run cleanly from another terminal.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};

use super::result::print;
use crate::exit::Failure;
use crate::quantity::typed;
use crate::record::{Holder, Lock};
use crate::run::StopRequest;

/// Longest wait for a run to end; it has ten seconds of its own.
const PATIENCE: Duration = Duration::from_secs(15);

/// Flags of `bo stop`.
#[derive(Args)]
pub struct StopArgs {
    /// The run's directory
    run: PathBuf,
}

/// Asks the process that works on a run to save and end, and waits until it has.
///
/// # Errors
/// [`Failure::Elsewhere`] when it runs on another machine or in another container; [`Failure::Held`] when it does not end.
pub fn main(args: &StopArgs) -> Result<(), Failure> {
    let run = typed(&args.run);
    let Some(holder) = Lock::holder(&args.run) else {
        return match crate::record::holds_run(&args.run) {
            true => print(
                &format!("nobody works on {run}; to go on: bo resume {run}"),
                false,
            ),
            false => Err(Failure::unusable(
                &args.run,
                "no run here",
                "name a run's directory",
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
            return print(&format!("{run} is saved; to go on: bo resume {run}"), false);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Err(held(&holder))
}
