//! `bo import`: what another program has evaluated becomes what a run begins with. Nothing is overwritten.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::init::write_new;
use crate::exchange::{Foreign, Reading, space_files};
use crate::exit::Failure;
use crate::quantity::typed;

/// Flags of `bo import`.
#[derive(Args)]
pub struct ImportArgs {
    /// A checkpoint of the original weld-line optimiser (JSON: iteration, train_X_full, train_Y), or a table (CSV) with a column
    /// `value`, empty where it failed, and one for each parameter; bo export and Optuna's trials_dataframe().to_csv(..) write such
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Folder to write space.toml and its tables into
    #[arg(long, value_name = "DIR", default_value = "imported")]
    out: PathBuf,

    /// A column of the table that is an environment variable; repeat for several
    #[arg(long, value_name = "NAME")]
    w: Vec<String>,

    /// The value by which the other program marked a failure: those become failed evaluations
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    failed_value: Option<f64>,

    /// Smaller values are better
    #[arg(long)]
    minimize: bool,
}

/// Writes the files and says what to type next.
///
/// # Errors
/// A file that cannot be read, a folder that holds one of the files already or cannot be written.
pub fn main(args: &ImportArgs) -> Result<(), Failure> {
    let reading = Reading {
        w: args.w.clone(),
        failed_value: args.failed_value,
    };
    let foreign = Foreign::read(&args.file, &reading)?;
    let files = space_files(&foreign, &args.file, args.minimize)?;
    let paths: Vec<PathBuf> = files.iter().map(|(name, _)| args.out.join(name)).collect();
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(Failure::input(
            path,
            "is there already; nothing was changed",
            "give --out another folder",
        ));
    }
    let writable = "give --out a folder that can be written";
    fs::create_dir_all(&args.out).map_err(|error| Failure::input(&args.out, error, writable))?;
    // the space file last: without it nothing begins with half of the rest
    for (path, (_, text)) in paths.iter().zip(&files).rev() {
        write_new(path, text).map_err(|error| Failure::input(path, error, writable))?;
    }
    let written: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let mut text = format!("{foreign}\nwrote {}\n", written.join(", "));
    if args.failed_value.is_none() && foreign.zeros() > 0 {
        text += &format!(
            "{} values are exactly 0: if that stood for a failure, type it again with --failed-value 0 --out {}\n",
            foreign.zeros(),
            typed(&beside(&args.out))
        );
    }
    if !args.minimize {
        text += &format!(
            "larger values are better; where smaller ones are, type it again with --minimize --out {}\n",
            typed(&beside(&args.out))
        );
    }
    text += &format!(
        "next: look at the ranges, then: bo run --command 'PROG ARGS' --space {}\n",
        typed(&paths[0])
    );
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// A folder of nearly the same name that is not there yet.
fn beside(out: &Path) -> PathBuf {
    let name = |number: u32| PathBuf::from(format!("{}_{number}", out.display()));
    let free = (2..).map(name).find(|path| !path.exists());
    free.expect("numbers do not end")
}
