//! What a run keeps between iterations, by name, for the ledger.

use std::mem::size_of;

use bo_bayes::optimizer::Observation;

use super::mirror;
use super::session::Session;
use crate::record::{DecisionLine, EvaluationLine, IncumbentRecord};

impl Session<'_> {
    /// Counts a reached evaluation: its line, and the optimiser's copy.
    pub fn keep_evaluation(&mut self, line: &EvaluationLine) {
        let points = (line.x.len() + line.w.len()) * size_of::<f64>();
        let words = line.status.len() + line.reason.as_ref().map_or(0, String::len);
        self.kept_bytes += (2 * points + words) as u64;
    }

    /// Counts a reached decision.
    pub fn keep_decision(&mut self, line: &DecisionLine) {
        let model = line.model.as_ref().map_or(0, |model| {
            (model.hyper.lengthscales.len() + model.incumbent.len()) * size_of::<f64>()
        });
        let incumbent = line.incumbent.as_ref().map_or(0, incumbent_bytes);
        let points = line
            .members()
            .map(|m| (m.x.len() + m.w.len()) * size_of::<f64>());
        self.kept_bytes += (points.sum::<usize>() + model + incumbent) as u64;
    }

    /// Names everything that stays until the next iteration.
    pub fn name_holdings(&self) {
        let told = self.optimizer.observations().len();
        let modelled = mirror::model(self.optimizer.state()).map_or(0, |model| model.observed);
        let vectors = self.evaluations.capacity() * size_of::<EvaluationLine>()
            + self.decisions.capacity() * size_of::<DecisionLine>()
            + self.incumbents.capacity() * size_of::<Option<IncumbentRecord>>()
            + told.next_power_of_two() * size_of::<Observation>();
        let incumbents: usize = self.incumbents.iter().flatten().map(incumbent_bytes).sum();
        self.ledger.hold(
            "observations",
            self.kept_bytes + (vectors + incumbents) as u64,
        );
        self.ledger
            .hold("factor", modelled * modelled * size_of::<f64>() as u64);
        for (name, bytes) in self.objective.holds() {
            self.ledger.hold(&name, bytes);
        }
    }
}

fn incumbent_bytes(incumbent: &IncumbentRecord) -> usize {
    (incumbent.x.len() + incumbent.per_environment.len()) * size_of::<f64>()
}
