//! What a run keeps between iterations, by name, for the ledger.

use std::mem::size_of;

use bo_memory::piece;

use super::session::Session;
use crate::record::{DecisionLine, EvaluationLine, IncumbentRecord};

/// Lines for which room is made at a time. Doubling would hold up to twice what is there, and what the ledger names
/// would not be what is resident.
const STEP: usize = 64;

impl Session<'_> {
    /// Keeps a reached evaluation, and counts it.
    pub fn keep_evaluation(&mut self, line: EvaluationLine) {
        let reason = line.reason.as_ref().map_or(0, String::len);
        self.kept_bytes +=
            numbers(&line.x) + numbers(&line.w) + piece(line.status.len()) + piece(reason);
        push(&mut self.evaluations, line);
    }

    /// Keeps a reached decision, and counts it.
    pub fn keep_decision(&mut self, line: DecisionLine) {
        let model = line.model.as_ref().map_or(0, |model| {
            numbers(&model.hyper.lengthscales)
                + piece(size_of::<[f64; 2]>() * model.hyper.warp.len())
                + numbers(&model.incumbent)
        });
        let members: u64 = line.members().map(|m| numbers(&m.x) + numbers(&m.w)).sum();
        let words: u64 = line.events.iter().map(|event| piece(event.len())).sum();
        self.kept_bytes += members
            + model
            + line.incumbent.as_ref().map_or(0, incumbent_bytes)
            + piece(size_of_val(&line.more[..]))
            + piece(size_of_val(&line.events[..]))
            + words;
        push(&mut self.decisions, line);
    }

    /// Names everything that stays until the next iteration.
    pub fn name_holdings(&self) {
        let lines = piece(self.evaluations.capacity() * size_of::<EvaluationLine>())
            + piece(self.decisions.capacity() * size_of::<DecisionLine>());
        let newest = self.newest.as_ref().map_or(0, incumbent_bytes);
        let told = self.optimizer.observed_bytes(piece);
        self.ledger
            .hold("observations", self.kept_bytes + lines + newest + told);
        self.ledger.hold("factor", self.optimizer.model_bytes());
        for (name, bytes) in self.objective.holds() {
            self.ledger.hold(&name, bytes);
        }
    }
}

fn push<T>(lines: &mut Vec<T>, line: T) {
    if lines.len() == lines.capacity() {
        lines.reserve_exact(STEP);
    }
    lines.push(line);
}

fn numbers(list: &[f64]) -> u64 {
    piece(size_of_val(list))
}

fn incumbent_bytes(incumbent: &IncumbentRecord) -> u64 {
    numbers(&incumbent.x) + numbers(&incumbent.per_environment)
}
