//! The live line of a training.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use bo_vision::train::StepReport;

use crate::quantity::clock;
use crate::training::Entry;

/// The live line: on a terminal it is written over, elsewhere a line comes every twenty steps.
pub struct LossLine {
    steps: usize,
    begun: Instant,
    smooth: Option<f32>,
    judged: Option<f32>,
    skipped: usize,
    live: bool,
}

impl LossLine {
    /// After these of so many steps: what is shown does not depend on when a training was stopped and resumed.
    pub fn after(done: &[Entry], steps: usize) -> Self {
        let mut line = Self {
            steps,
            begun: Instant::now(),
            smooth: None,
            judged: None,
            skipped: 0,
            live: std::io::stderr().is_terminal(),
        };
        for entry in done {
            line.add(entry.loss, entry.judged, entry.skipped);
        }
        line
    }

    /// Takes a step into account, and returns the smoothed loss.
    fn add(&mut self, loss: f32, judged: Option<f32>, skipped: bool) -> f32 {
        let smooth = self.smooth.map_or(loss, |s| 0.97 * s + 0.03 * loss);
        self.smooth = Some(smooth);
        self.judged = judged.or(self.judged);
        self.skipped += usize::from(skipped);
        smooth
    }

    /// Before a step that is told is the first at another pace than those before it; `crops` are those of every step.
    pub fn slower(&self, report: &StepReport, crops: usize) {
        let over = if self.live { "\r\x1b[K" } else { "" };
        let (step, pace) = (report.step + 1, report.pace);
        let _ = writeln!(
            std::io::stderr(),
            "{over}bo: memory: from step {step} on {pace}; a step stays one of {crops} crops"
        );
    }

    /// After a step, judged or not.
    pub fn step(&mut self, report: &StepReport, judged: Option<f32>) {
        let smooth = self.add(report.loss, judged, report.skipped);
        let done = report.step + 1;
        if !self.live && !done.is_multiple_of(20) && done != self.steps {
            return;
        }
        let held = self
            .judged
            .map_or(String::new(), |judged| format!(", held out {judged:.4}"));
        let skipped = match self.skipped {
            0 => String::new(),
            steps => format!(", {steps} skipped: infinite in float16"),
        };
        let text = format!(
            "step {done} of {}: loss {:.4}, smoothed {smooth:.4}{held}{skipped}; {}",
            self.steps,
            report.loss,
            clock(self.begun.elapsed().as_secs_f64())
        );
        let mut stderr = std::io::stderr();
        let _ = match self.live {
            true => write!(stderr, "\r{text}\x1b[K"),
            false => writeln!(stderr, "{text}"),
        };
    }

    /// After the last.
    pub fn end(&self) {
        if self.live {
            let _ = writeln!(std::io::stderr());
        }
    }
}
