//! The host's memory budget held against a run: what it will surely take before it begins, what stays resident after each
//! iteration. Networks and images keep within it by themselves (`objective/eyes`).

use std::mem::size_of;

use bo_bayes::optimizer::Observation;
use bo_memory::budget::{Budget, Source};
use bo_memory::host::Resident;
use bo_memory::{Counting, piece};

use super::Setup;
use super::session::{Halt, Session};
use super::stop::Stop;
use crate::event::Level;
use crate::exit::Failure;
use crate::forecast::resident;
use crate::quantity::bytes;
use crate::record::{DecisionLine, EvaluationLine};
use crate::settings::Origin;

/// What the first fits bring into memory: the code of the linear algebra, its work buffers, pages of the heap. Measured: 1.3 to
/// 2 MB by the end of the initial design, 0.8 MB more in 40 iterations.
const FIRST_FITS: u64 = 3 << 20;

/// Refuses a run that cannot end within its budget: what is resident now, the largest fit and what is kept of
/// evaluations and decisions, each at least.
///
/// # Errors
/// [`Failure::Setting`] with the least that is enough.
pub fn afford(setup: &Setup) -> Result<(), Failure> {
    let (iterations, batch) = (setup.schedule.iterations, setup.schedule.batch);
    let resident = resident();
    let optimizer = &setup.optimizer;
    let model = FIRST_FITS
        + setup
            .crew
            .during(|| optimizer.least_bytes(iterations, batch));
    let kept = kept(setup);
    let least = resident.saturating_add(model).saturating_add(kept);
    if least <= setup.budget.bytes {
        return Ok(());
    }
    Err(too_small(
        setup.budget,
        format!(
            "{} are resident before the first evaluation; {iterations} iterations keep at least {}, and fits with \
             matrices of all that they evaluate take {} more",
            bytes(resident),
            bytes(kept),
            bytes(model)
        ),
        match setup.budget.source {
            Source::Asked => format!(
                "type --host-memory-mb {} or more, or fewer --iterations",
                mebibytes(least)
            ),
            _ => {
                "ask for fewer --iterations, or give it a machine or a cgroup with more".to_owned()
            }
        },
    ))
}

/// That a budget is too small, as a setting; also where it is the machine's.
pub fn too_small(budget: Budget, reason: String, remedy: String) -> Failure {
    let (origin, whose) = match budget.source {
        Source::Asked => (Origin::Flag("--host-memory-mb".into()), ""),
        _ => (
            Origin::Default,
            ", the share of this machine's memory or of its cgroup's limit that is taken",
        ),
    };
    Failure::Setting {
        key: "host-memory-mb".into(),
        origin,
        reason: format!("{} MiB{whose}: {reason}", budget.bytes >> 20),
        remedy,
    }
}

/// A quarter more than `bytes`, in MiB: what stays grows a little with a run.
pub fn mebibytes(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 4).div_ceil(1 << 20)
}

/// Bytes that stay of all evaluations and decisions of a run, at least.
fn kept(setup: &Setup) -> u64 {
    let numbers = |count: usize| piece(size_of::<f64>() * count);
    let point = numbers(setup.manifest.x.len()) + numbers(setup.manifest.w.len());
    let evaluation = (size_of::<EvaluationLine>() + size_of::<Observation>()) as u64 + 2 * point;
    let decision = size_of::<DecisionLine>() as u64;
    let (decisions, batch) = (setup.schedule.iterations, setup.schedule.batch as u64);
    let initial = setup.optimizer.initial_design().len() as u64;
    let decided = decisions.saturating_mul(batch);
    let evaluations = initial.saturating_add(decided).saturating_mul(evaluation);
    evaluations
        .saturating_add(decisions.saturating_mul(decision))
        .saturating_add(decided.saturating_mul(point))
}

impl Session<'_> {
    /// Whether more is resident than the run may hold.
    pub(super) fn is_too_much(&self, resident: Option<Resident>) -> bool {
        resident.map_or_else(Counting::in_use, |resident| resident.now) > self.budget.bytes
    }

    /// Ends the run after an iteration where more stays than it may hold, also after a clean-up; says so once where it was
    /// more for a while only. `resident` is what stays, `most` what was there before.
    ///
    /// # Errors
    /// [`Stop::Memory`].
    pub(super) fn keep_within_budget(
        &mut self,
        iteration: u64,
        resident: Option<Resident>,
        most: Option<u64>,
    ) -> Result<(), Halt> {
        if self.is_too_much(resident) && iteration < self.schedule.iterations {
            return Err(Halt::Stop(Stop::Memory {
                iteration,
                budget: self.budget,
                resident: resident.map_or_else(Counting::in_use, |resident| resident.now),
                allocated: Counting::in_use(),
                held: self.ledger.held(),
            }));
        }
        let peak = most.unwrap_or(0);
        if peak > self.budget.bytes && !self.told_peak {
            self.told_peak = true;
            let message = format!(
                "iteration {iteration}: up to {} were resident for a while, where {} may be (--host-memory-mb)",
                bytes(peak),
                bytes(self.budget.bytes)
            );
            self.notice(Level::Warning, message);
        }
        Ok(())
    }
}

/// Who holds what of the resident bytes, largest first; what no name explains of the allocated ones, and the rest: the
/// program itself, its libraries and stacks, and pages between pieces.
pub fn holders(resident: u64, allocated: u64, held: &[(String, u64)]) -> String {
    let named: u64 = held.iter().map(|(_, bytes)| bytes).sum();
    let mut all: Vec<(&str, u64)> = held
        .iter()
        .map(|(name, bytes)| (name.as_str(), *bytes))
        .collect();
    all.push(("unnamed", allocated.saturating_sub(named)));
    all.push((
        "the program itself and free pages",
        resident.saturating_sub(allocated.max(named)),
    ));
    all.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    let words: Vec<String> = all
        .into_iter()
        .map(|(name, held)| format!("{name} {}", bytes(held)))
        .collect();
    words.join(", ")
}
