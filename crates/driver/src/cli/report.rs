//! `bo report`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::bounded;
use crate::exit::Failure;
use crate::record::replace;

/// Flags of `bo report`.
#[derive(Args)]
pub struct ReportArgs {
    /// Directories of runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,

    /// The file to write, HTML that needs nothing else; one of ours is replaced
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
}

/// Writes the report.
///
/// # Errors
/// A directory without a run, a file that cannot be written.
pub fn main(args: &ReportArgs) -> Result<(), Failure> {
    let text = crate::report::report(&args.runs)?;
    if args.out.exists() && !is_ours(&args.out) {
        return Err(Failure::input(
            &args.out,
            "is there already and no report of bo",
            "give --out another name",
        ));
    }
    replace(&args.out, text.as_bytes()).map_err(|error| {
        Failure::input(&args.out, error, "give --out a file that can be written")
    })?;
    let _ = writeln!(std::io::stdout(), "wrote {}", args.out.display());
    Ok(())
}

/// Whether a file begins as our reports do.
fn is_ours(path: &std::path::Path) -> bool {
    let text = bounded::read_text(path, bounded::LEDGER).unwrap_or_default();
    text.starts_with("<!doctype html>") && text.contains("<title>bo: ")
}
