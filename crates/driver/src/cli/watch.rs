//! `bo watch`: a run's state, kept up to date until the run ends. Reads files only: it never locks and never writes.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use console::Term;

use crate::exit::Failure;
use crate::show::State;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Flags of `bo watch`.
#[derive(Args)]
pub struct WatchArgs {
    /// A run's directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
}

/// On a terminal the screen of `bo show`, drawn again as the run goes on; elsewhere a line for each change.
///
/// # Errors
/// No run, or one that cannot be read.
pub fn main(args: &WatchArgs) -> Result<(), Failure> {
    let mut view = View::new();
    loop {
        let state = State::read(&args.run)?;
        if !state.is_running() {
            view.end(&state);
            return Ok(());
        }
        if view.show(&state).is_err() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

/// What was shown last.
struct View {
    terminal: Option<Term>,
    last: String,
    drawn: usize,
}

impl View {
    fn new() -> Self {
        let terminal = std::io::stdout().is_terminal().then(Term::stdout);
        Self {
            terminal,
            last: String::new(),
            drawn: 0,
        }
    }

    /// Fails when nobody reads any more.
    fn show(&mut self, state: &State) -> std::io::Result<()> {
        let text = match &self.terminal {
            Some(_) => state.to_string(),
            None => state.line(),
        };
        if text == self.last {
            return Ok(());
        }
        match &self.terminal {
            None => writeln!(std::io::stdout(), "{text}")?,
            Some(terminal) => {
                let (height, width) = terminal.size();
                // a line that wraps or a screen that scrolls could not be drawn over
                let lines: Vec<_> = text
                    .lines()
                    .take(usize::from(height).saturating_sub(1))
                    .map(|line| console::truncate_str(line, usize::from(width), ""))
                    .collect();
                terminal.clear_last_lines(self.drawn)?;
                terminal.write_line(&lines.join(
                    "
",
                ))?;
                self.drawn = lines.len();
            }
        }
        self.last = text;
        Ok(())
    }

    /// The whole state once more, to stay.
    fn end(&self, state: &State) {
        if let Some(terminal) = &self.terminal {
            let _ = terminal.clear_last_lines(self.drawn);
        }
        let _ = write!(std::io::stdout(), "{state}");
    }
}
