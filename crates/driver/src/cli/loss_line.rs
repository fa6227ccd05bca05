//! The live line of a training.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

use bo_vision::train::StepReport;

use crate::quantity::clock;

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
    /// Before the first of so many steps.
    pub fn new(steps: usize) -> Self {
        Self {
            steps,
            begun: Instant::now(),
            smooth: None,
            judged: None,
            skipped: 0,
            live: std::io::stderr().is_terminal(),
        }
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
        let smooth = self
            .smooth
            .map_or(report.loss, |s| 0.97 * s + 0.03 * report.loss);
        self.smooth = Some(smooth);
        self.judged = judged.or(self.judged);
        self.skipped += usize::from(report.skipped);
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
