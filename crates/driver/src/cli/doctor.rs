//! `bo doctor`: whether runs would die on this machine, and of what.

use std::io::Write as _;
use std::path::PathBuf;

use bo_memory::host;
use clap::Args;

use super::result::print;
use crate::doctor::{Patient, examine};
use crate::exit::Failure;
use crate::settings::Limits;

/// Most host memory that is climbed to where none is given, bytes.
const CLIMB: u64 = 2 << 30;

/// Flags of `bo doctor`. Ends with 0 if nothing would stop a run, else with 1.
#[derive(Args)]
pub struct DoctorArgs {
    /// Folder in which runs will be
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,

    /// Host memory to climb to, MiB [default: half of what is to be had, at most 2048]
    #[arg(long, value_name = "N")]
    host_memory_mb: Option<u64>,

    /// Share of the first GPU's memory to climb to
    #[arg(long, value_name = "SHARE", default_value_t = 0.8)]
    gpu_memory_fraction: f64,

    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Examines this machine, about half a minute.
///
/// # Errors
/// [`Failure::Said`] with code 1: something would stop a run, and has been named; [`Failure::Setting`].
pub fn main(args: &DoctorArgs) -> Result<(), Failure> {
    let limits = Limits::typed();
    let room = host::limit().into_iter().chain(host::available()).min();
    let patient = Patient {
        folder: args.out.clone(),
        budget: match args.host_memory_mb {
            Some(megabytes) => limits
                .at_least_one("host-memory-mb", megabytes)?
                .saturating_mul(1 << 20),
            None => CLIMB.min(room.unwrap_or(CLIMB) / 2),
        },
        share: limits.share("gpu-memory-fraction", args.gpu_memory_fraction)?,
    };
    let diagnosis = examine(&patient, |finding| {
        if !args.json {
            let _ = writeln!(std::io::stdout(), "{finding}");
        }
    });
    if !args.json {
        let _ = writeln!(std::io::stdout());
    }
    print(&diagnosis, args.json)?;
    match diagnosis.will_finish() {
        true => Ok(()),
        false => Err(Failure::Said { code: 1 }),
    }
}
