//! What `bo run` and `bo resume` have in common towards the user: progress, the closing summary, the exit code.

use std::io::Write as _;
use std::path::Path;

use clap::Args;

use crate::event::Reporter;
use crate::exit::Failure;
use crate::objective::failing;
use crate::progress::{Chronicle, Progress, Reporters};
use crate::record::History;
use crate::run::{End, World, watch_signals};
use crate::show::{peak, recommended};
use crate::summary::Summary;

/// How much is said, and in which form.
#[derive(Args, Clone, Copy, Debug)]
pub struct Voice {
    /// The result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// No progress on stderr
    #[arg(long)]
    pub quiet: bool,
}

/// Runs `work` in `out` under signals and reporters; then the closing summary on stdout.
///
/// # Errors
/// Any [`Failure`], a stop and a run in which nothing succeeded among them.
pub fn finish(
    out: &Path,
    voice: &Voice,
    work: impl FnOnce(&World, &mut dyn Reporter) -> Result<End, Failure>,
) -> Result<(), Failure> {
    let world = World::default();
    watch_signals(&world.stop)?;
    let mut all: Vec<Box<dyn Reporter>> = vec![Box::new(Chronicle::new(world.log.clone()))];
    if !voice.quiet {
        all.push(Box::new(Progress::new()));
    }
    let mut reporters = Reporters(all);
    let end = work(&world, &mut reporters)?;
    drop(reporters);
    if let End::Stopped(stop) = end {
        return Err(stop.failure(out));
    }
    let history = History::read(out)?;
    let summary = Summary::new(out, &history, recommended(&history).as_ref(), peak(out));
    print(&summary, voice.json)?;
    fruitless(out, &history).map_or(Ok(()), Err)
}

/// What a run ends with in which every evaluation failed.
fn fruitless(out: &Path, history: &History) -> Option<Failure> {
    let all = &history.evaluations;
    let last = all.last()?.reason.as_deref().unwrap_or("no reason given");
    let equal = all.iter().all(|line| line.reason.as_deref() == Some(last));
    all.iter()
        .all(|line| line.value.is_none())
        .then(|| Failure::NothingSucceeded {
            count: all.len(),
            reason: failing(equal, last),
            out: out.to_owned(),
        })
}

/// Notices on stderr, a line each; a closed stderr is no failure.
pub fn notify(notices: &[String]) {
    for notice in notices {
        let _ = writeln!(std::io::stderr(), "{notice}");
    }
}

/// Data on stdout, as text or as one JSON object. A reader that has gone away is no failure.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn print(
    data: &(impl std::fmt::Display + serde::Serialize),
    json: bool,
) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(data)
            .map_err(|error| Failure::unexpected("writing the result as JSON", error))?
    } else {
        data.to_string()
    };
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    Ok(())
}
