//! The loop: it owns only the order of things. Each step stands in [`super::step`].

use bo_memory::host;

use super::session::{Halt, Session};
use super::stop::{End, Stop};
use crate::event::{Level, RunEvent};
use crate::exit::Failure;
use crate::record::Heartbeat;

impl Session<'_> {
    /// Runs to the last iteration, or until something stops it; whatever happens, all that counts is
    /// on disk.
    ///
    /// # Errors
    /// A [`Failure`] of ours or of the system; a stop is not one, see [`End`].
    pub fn course(mut self) -> Result<End, Failure> {
        let outcome = self.iterations();
        // what was under way to the disk when it ended
        let outcome = match self.count() {
            Err(error) if !matches!(outcome, Err(Halt::Failure(_))) => Err(error.into()),
            _ => outcome,
        };
        self.objective.stop();
        self.workers.iter_mut().for_each(|worker| worker.stop());
        let last = Heartbeat::read(self.directory.path());
        if let Some(last) = last.filter(|beat| beat.pid == std::process::id()) {
            let ended = Heartbeat {
                ended: true,
                ..last
            };
            ended.write(self.directory.path());
        }
        match outcome {
            Ok(()) => self.finish(),
            Err(Halt::Stop(stop)) => self.save_stop(stop),
            Err(Halt::Failure(failure)) => Err(*failure),
        }
    }

    fn iterations(&mut self) -> Result<(), Halt> {
        // what opening thousands of images took goes back before iterations take theirs
        host::trim();
        // nor is its peak one of theirs
        host::reset_peak();
        if self.complete().is_none() {
            let scope = self.ledger.scope("initial design");
            let design: Vec<_> = (0..).zip(self.optimizer.initial_design()).collect();
            let evaluations = self.evaluate(&scope, 0, &design)?;
            self.tell(&scope, evaluations)?;
            self.refit(&scope, 0)?;
            self.conclude(scope, 0)?;
        }
        for iteration in self.next_iteration()..=self.schedule.iterations {
            let scope = self.ledger.scope("iteration");
            let queries = self.decide(&scope, iteration)?;
            let evaluations = self.evaluate(&scope, iteration, &queries)?;
            self.tell(&scope, evaluations)?;
            self.refit(&scope, iteration)?;
            self.conclude(scope, iteration)?;
        }
        Ok(())
    }

    fn next_iteration(&self) -> u64 {
        self.complete().map_or(1, |complete| complete + 1)
    }

    fn finish(mut self) -> Result<End, Failure> {
        self.settle()?;
        let complete = self.complete().unwrap_or(0);
        if !complete.is_multiple_of(self.schedule.checkpoint_every) {
            self.save_checkpoint(complete)?;
        }
        let result = self.result();
        self.directory.write_result(&result)?;
        self.emit(&RunEvent::Finished(result.clone()));
        Ok(End::Complete(result))
    }

    fn save_stop(mut self, stop: Stop) -> Result<End, Failure> {
        if !self.replaying() {
            if matches!(stop, Stop::KeepsFailing { .. }) {
                self.give_up();
            }
            let checkpoint = self.checkpoint(true);
            self.settle()?;
            let (file, _) = self.directory.write_checkpoint(&checkpoint, true)?;
            self.notice(Level::Info, format!("saved {}", file.display()));
        }
        self.emit(&RunEvent::Stopped(stop.clone()));
        Ok(End::Stopped(stop))
    }
}
