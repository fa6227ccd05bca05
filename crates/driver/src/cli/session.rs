//! The terminal side of a run: signals, reporters, the end as an exit code.

use std::io::Write as _;
use std::path::Path;

use crate::event::{Reporter, RunEvent};
use crate::exit::Failure;
use crate::run::{End, World, watch_signals};

/// Says events in plain lines on stderr.
struct Plain<'w> {
    world: &'w World,
    quiet: bool,
}

impl Reporter for Plain<'_> {
    fn event(&mut self, event: &RunEvent) {
        let line = match event {
            RunEvent::Notice { message, .. } => message.clone(),
            RunEvent::IterationDone(done) => {
                let risk = done
                    .incumbent
                    .as_ref()
                    .map_or(f64::NAN, |incumbent| incumbent.risk);
                format!(
                    "iteration {} of {}: risk {risk}",
                    done.iteration, done.iterations
                )
            }
            RunEvent::Leak {
                iteration,
                owner,
                bytes,
            } => {
                format!("iteration {iteration}: {owner} left {bytes} bytes behind")
            }
            _ => return,
        };
        self.world.log.say(&line);
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

/// Runs `work` under signals and a reporter and prints its result.
///
/// # Errors
/// Any [`Failure`], a stop among them.
pub fn finish(
    out: &Path,
    _json: bool,
    quiet: bool,
    work: impl FnOnce(&World, &mut dyn Reporter) -> Result<End, Failure>,
) -> Result<(), Failure> {
    let world = World::default();
    watch_signals(&world.stop)?;
    let mut reporter = Plain {
        world: &world,
        quiet,
    };
    match work(&world, &mut reporter)? {
        End::Complete(result) => {
            let text = serde_json::to_string(&result)
                .map_err(|error| Failure::unexpected("writing the result", error))?;
            let _ = writeln!(std::io::stdout(), "{text}");
            Ok(())
        }
        End::Stopped(stop) => Err(stop.failure(out)),
    }
}
