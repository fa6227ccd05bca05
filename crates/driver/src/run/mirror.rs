//! Between the live types of the optimiser and the types that files hold.

use bo_bayes::gp::{Hyperparameters, Standardizer, Warp};
use bo_bayes::optimizer::{self, ModelState, Observation};

use crate::objective::{Outcome, Status};
use crate::record::{
    ELSEWHERE, EvaluationLine, HyperRecord, IncumbentRecord, Member, ModelRecord,
    StandardizerRecord,
};

/// Longest list of environments that is written for an incumbent; a continuous law is judged on more.
const SHOWN_ENVIRONMENTS: usize = 1000;

/// A recorded member of a decision as a query, with the id of its evaluation.
pub fn query(member: &Member) -> (u64, optimizer::Query) {
    let query = optimizer::Query {
        x: member.x.clone(),
        environment: member.environment.and_then(|row| usize::try_from(row).ok()),
        w: member.w.clone(),
    };
    (member.id, query)
}

/// A recorded evaluation as the optimiser is told of it.
pub fn observation(line: &EvaluationLine) -> Observation {
    Observation {
        id: line.id,
        iteration: line.iteration,
        query: optimizer::Query {
            x: line.x.clone(),
            environment: line.environment.and_then(|row| usize::try_from(row).ok()),
            w: line.w.clone(),
        },
        outcome: match line.value {
            None => optimizer::Outcome::Failed,
            Some(value) if line.scale.is_some() => optimizer::Outcome::Rough(value),
            Some(value) => optimizer::Outcome::Value(value),
        },
    }
}

/// Value, status and reason as recorded; none for what is not. A value that is no number is a failure, whoever sent it.
pub fn outcome(outcome: &Outcome) -> Option<(Option<f64>, &'static str, Option<String>)> {
    match outcome {
        Outcome::Value(value) | Outcome::Reduced { value, .. } if value.is_finite() => {
            Some((Some(*value), "ok", None))
        }
        Outcome::Value(value) | Outcome::Reduced { value, .. } => {
            Some((None, "invalid", Some(format!("the objective gave {value}"))))
        }
        Outcome::Failed { status, reason } => Some((None, name(*status), Some(reason.clone()))),
        Outcome::Stopped | Outcome::Lost { .. } => None,
    }
}

fn name(status: Status) -> &'static str {
    match status {
        Status::Oom => "oom",
        Status::Timeout => "timeout",
        Status::Invalid => "invalid",
        Status::Elsewhere => ELSEWHERE,
        // a failure never counts as a value
        Status::Failed | Status::Ok => "failed",
    }
}

/// The model state as recorded.
pub fn model(state: Option<&ModelState>) -> Option<ModelRecord> {
    state.map(|state| ModelRecord {
        hyper: HyperRecord {
            lengthscales: state.hyper.lengthscales.clone(),
            outputscale: state.hyper.outputscale,
            noise: state.hyper.noise,
            mean: state.hyper.mean,
            rough_noise: state.hyper.rough_noise,
            warp: state.hyper.warp.iter().map(|w| [w.a, w.b]).collect(),
        },
        standardizer: StandardizerRecord {
            shift: state.standardizer.shift,
            scale: state.standardizer.scale,
        },
        fitted_at: state.fitted_at as u64,
        observed: state.observed as u64,
        incumbent: state.incumbent.clone(),
    })
}

/// A recorded model state.
pub fn state(record: &ModelRecord) -> ModelState {
    ModelState {
        hyper: Hyperparameters {
            lengthscales: record.hyper.lengthscales.clone(),
            outputscale: record.hyper.outputscale,
            noise: record.hyper.noise,
            mean: record.hyper.mean,
            rough_noise: record.hyper.rough_noise,
            warp: record
                .hyper
                .warp
                .iter()
                .map(|&[a, b]| Warp { a, b })
                .collect(),
        },
        standardizer: Standardizer {
            shift: record.standardizer.shift,
            scale: record.standardizer.scale,
        },
        // counts of observations told: far below any limit
        fitted_at: record.fitted_at as usize,
        observed: record.observed as usize,
        incumbent: record.incumbent.clone(),
    }
}

/// The incumbent as recorded.
pub fn incumbent(incumbent: &optimizer::Incumbent, interval: Option<[f64; 2]>) -> IncumbentRecord {
    let shown = incumbent.per_environment.len() <= SHOWN_ENVIRONMENTS;
    IncumbentRecord {
        x: incumbent.x.clone(),
        risk: incumbent.risk,
        mean: incumbent.mean,
        interval,
        per_environment: if shown {
            incumbent.per_environment.clone()
        } else {
            Vec::new()
        },
    }
}
