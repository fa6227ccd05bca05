//! `bo export`: what a run evaluated, for other programs. Reads; never disturbs a run.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::exchange::{Form, export};
use crate::exit::Failure;
use crate::record::{History, replace};

/// Flags of `bo export`.
#[derive(Args)]
pub struct ExportArgs {
    /// A run's directory
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// In which form
    #[arg(long, value_enum, default_value = "csv")]
    format: Form,

    /// The file to write; must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the evaluations.
///
/// # Errors
/// No run, a file that is there already or cannot be written.
pub fn main(args: &ExportArgs) -> Result<(), Failure> {
    let history = History::read(&args.run)?;
    let text = export(&history, args.format)?;
    let lost = |kind: &str, count: usize| {
        if args.format == Form::Original && count > 0 {
            let _ = writeln!(std::io::stderr(), "{count} evaluations {kind}");
        }
    };
    let all = &history.evaluations;
    let failed = all.iter().filter(|line| line.value.is_none()).count();
    lost("that failed have no place there and are left out", failed);
    let reduced = all.iter().filter(|line| line.scale.is_some()).count();
    lost(
        "at a smaller scale are written as if they were whole",
        reduced,
    );
    let Some(out) = &args.out else {
        return match std::io::stdout().write_all(text.as_bytes()) {
            // a reader that has seen enough (head) is no failure
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::unexpected("writing to standard output", error))
            }
            _ => Ok(()),
        };
    };
    if out.exists() {
        return Err(Failure::input(
            out,
            "is there already; nothing was changed",
            "give --out another name",
        ));
    }
    replace(out, text.as_bytes())
        .map_err(|error| Failure::input(out, error, "give --out a file that can be written"))?;
    let _ = writeln!(std::io::stdout(), "wrote {}", out.display());
    Ok(())
}
