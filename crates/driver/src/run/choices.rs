//! The optimiser's settings from those of the run.

use bo_bayes::environment::{Environments, Look};
use bo_bayes::kernel::KernelKind;
use bo_bayes::optimizer::{self, AcquisitionKind, Problem, Surrogate};
use bo_bayes::risk::{RiskMeasure, TailMass};

use crate::exit::Failure;
use crate::settings::{
    self, Acquisition, Earlier, HighDimension, Kernel, KernelStructure, Origin, Risk, Study,
};

/// Most evaluations of an initial design: the model keeps a square matrix of them, 3 GB at this number.
const MOST: usize = 20_000;

/// The risk measure of a study, of values to be maximised.
pub fn measure(study: &Study) -> RiskMeasure {
    let tail = || TailMass::new(study.alpha).expect("alpha was checked to lie in (0, 1]");
    match study.risk {
        Risk::Cvar => RiskMeasure::Cvar(tail()),
        Risk::Var => RiskMeasure::Var(tail()),
        Risk::Worst => RiskMeasure::Worst,
        Risk::Mean => RiskMeasure::Mean,
        Risk::MeanDeviation => RiskMeasure::MeanDeviation { k: study.k },
    }
}

fn surrogate(asked: settings::Surrogate) -> Surrogate {
    Surrogate {
        kernel: match asked.kernel {
            Kernel::Matern52 => KernelKind::Matern52,
            Kernel::Matern32 => KernelKind::Matern32,
            Kernel::SquaredExponential => KernelKind::SquaredExponential,
        },
        product: asked.structure == KernelStructure::Product,
        warp: asked.warp,
        rough_noise: asked.noise_per_status,
    }
}

/// The optimiser's settings, checked against the problem, with what was evaluated elsewhere. Without environments n_w has no
/// meaning and any is taken.
///
/// # Errors
/// [`Failure::Setting`] when there is nothing to begin with, or too much;
/// [`Failure::Setting`] when a decision, or a point of the initial design, is to look at more environments than
/// there are.
pub fn choices(
    study: &Study,
    problem: &Problem,
    earlier: &[Earlier],
) -> Result<optimizer::Settings, Failure> {
    if study.n_initial == 0 && earlier.is_empty() {
        return Err(Failure::Setting {
            key: "n-initial".into(),
            origin: Origin::Flag("--n-initial".into()),
            reason: "0 points, and the space file names no [observations]: there is nothing to begin with".into(),
            remedy: "type --n-initial 5".into(),
        });
    }
    let (count, finite) = match &problem.environments {
        Environments::None => (Some(1), false),
        other => (other.count(), true),
    };
    let within = |key: &str, look: settings::Look| match (look, count) {
        (settings::Look::Count(asked), Some(count)) if finite && asked > count => {
            Err(Failure::Setting {
                key: key.into(),
                origin: Origin::Flag(format!("--{key}")),
                reason: format!("{asked} is above the number of environments, {count}"),
                remedy: format!("type --{key} {count} or fewer, or --{key} all"),
            })
        }
        _ => Ok(()),
    };
    within("n-w", study.n_w)?;
    within("initial-w", study.initial_w)?;
    let initial_w = match (study.initial_w, count) {
        (settings::Look::Count(asked), None) => asked,
        (settings::Look::Count(asked), Some(count)) => asked.min(count),
        (settings::Look::All(_), Some(count)) => count,
        (settings::Look::All(_), None) => {
            return Err(Failure::Setting {
                key: "initial-w".into(),
                origin: Origin::Flag("--initial-w".into()),
                reason: "the environments are continuous: all of them cannot be evaluated".into(),
                remedy: "type --initial-w 3 (it is as --n-w unless given)".into(),
            });
        }
    };
    let evaluations = study.n_initial.saturating_mul(initial_w) + earlier.len();
    if evaluations > MOST {
        return Err(Failure::Setting {
            key: "n-initial".into(),
            origin: Origin::Flag("--n-initial".into()),
            reason: format!(
                "{} points with {initial_w} environments each{} are {evaluations} evaluations; the model takes up to {MOST}",
                study.n_initial,
                match earlier.len() {
                    0 => String::new(),
                    there => format!(" and {there} done elsewhere"),
                }
            ),
            remedy: "lower --n-initial, or --initial-w".into(),
        });
    }
    Ok(optimizer::Settings {
        earlier: earlier.iter().map(|one| one.query.clone()).collect(),
        n_initial: study.n_initial,
        initial_w,
        n_w: match study.n_w {
            settings::Look::All(_) => Look::All,
            settings::Look::Count(asked) => Look::Count(asked.min(count.unwrap_or(asked))),
        },
        risk: measure(study),
        acquisition: match study
            .acquisition
            .fitted(problem.environments != Environments::None)
        {
            Acquisition::Auto | Acquisition::RhoKg => AcquisitionKind::RhoKg,
            Acquisition::RhoKgPaths => AcquisitionKind::RhoKgPaths,
            Acquisition::CvUcb => AcquisitionKind::CvUcb,
            Acquisition::LogNei => AcquisitionKind::LogNei,
            Acquisition::Thompson => AcquisitionKind::Thompson,
            Acquisition::Random => AcquisitionKind::Random,
        },
        surrogate: surrogate(study.surrogate),
        high_dimension: match study.high_dimension {
            HighDimension::Plain => optimizer::HighDimension::Plain,
            HighDimension::Region => optimizer::HighDimension::Region,
        },
        seed: study.seed,
    })
}
