//! Watching the run from a parent process, as asked on the command line.

use std::ffi::OsString;
use std::path::Path;

use clap::Args;

use super::result::Voice;
use crate::exit::Failure;
use crate::supervise::{Orders, is_worker, watch};

/// Whether and how the run is watched.
#[derive(Args, Clone, Copy, Debug)]
pub struct Supervision {
    /// Restarts of a worker that died, counted anew after each finished evaluation
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        help_heading = "Machine (may differ from before)"
    )]
    max_restarts: u32,

    /// Run in this process alone: a death goes unexplained and nothing is restarted
    #[arg(long, help_heading = "Machine (may differ from before)")]
    no_supervise: bool,
}

impl Supervision {
    /// Whether this process is to watch a worker rather than to do the work.
    pub fn watches(&self) -> bool {
        !self.no_supervise && !is_worker()
    }

    /// Has the words of this command line done by workers that run in `folder`. `command` is the run's command where it
    /// was repeated to allow it: every worker needs it.
    ///
    /// # Errors
    /// As [`watch`].
    pub fn watch(
        &self,
        folder: &Path,
        voice: &Voice,
        command: Option<&str>,
    ) -> Result<(), Failure> {
        let mut again: Vec<OsString> = vec!["resume".into(), folder.into()];
        again.extend(voice.json.then(|| "--json".into()));
        again.extend(
            command
                .into_iter()
                .flat_map(|command| ["--command".into(), command.into()]),
        );
        again.extend(voice.quiet.then(|| "--quiet".into()));
        watch(&Orders {
            folder: folder.to_owned(),
            first: std::env::args_os().skip(1).collect(),
            again,
            max_restarts: self.max_restarts,
        })
    }
}
